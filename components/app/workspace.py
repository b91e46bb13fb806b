"""An app that is a member of a uv workspace: the files above its folder that a server needs to install its packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components.app.listing import Listing
from components.errors import UserError
from host.packages import requirements
from host.packages.locked import normalized
from host.packages.project_files import Table, load

# How far above the app the workspace may begin.
_LEVELS = 6


class WorkspaceError(UserError):
    """The workspace can't be installed on a server; the text says why and what to do."""


def files(app: Path, contents: Mapping[str, bytes], listed: Callable[[Path], Listing]) -> dict[str, bytes]:
    """The files to add to the app's own ``contents``, by name; empty if the app isn't a member of a workspace.

    They are the workspace's pyproject.toml and uv.lock, the app's pyproject.toml, and the members that the app depends
    on. ``listed`` lists the files of a folder. Raises WorkspaceError if a member is missing.
    """
    if requirements.LIST in contents or any(lock in contents for lock in requirements.LOCKS):
        return {}
    try:
        return _workspace_files(app, contents, listed)
    except ValueError as error:
        raise WorkspaceError(f"{app} can't be installed ({error})") from None


def _workspace_files(app: Path, contents: Mapping[str, bytes], listed: Callable[[Path], Listing]) -> dict[str, bytes]:
    name = requirements.project(contents.get).get("name")
    root = _root_of(app) if name else None
    if root is None:
        return {}
    lock = root / requirements.LOCK
    if not lock.is_file():
        raise WorkspaceError(
            f"{app} is a member of the uv workspace {root}, which has no {requirements.LOCK}: write it with `uv lock`"
        )
    member = app.relative_to(root).as_posix()
    found = {name: (root / name).read_bytes() for name in (requirements.PROJECT, requirements.LOCK)}
    found[f"{member}/{requirements.PROJECT}"] = contents[requirements.PROJECT]
    for folder in needed_members(load(str(lock), lock.read_bytes()), str(name)):
        found |= _files_of(root, folder, listed)
    return {f"{requirements.WORKSPACE}/{name}": content for name, content in found.items()}


def _root_of(app: Path) -> Path | None:
    """The folder of the workspace that the app is a member of."""
    for folder in list(app.parents)[:_LEVELS]:
        project = folder / requirements.PROJECT
        if not project.is_file():
            continue
        workspace = _workspace_table(project)
        if workspace is not None:
            names = {key: [str(pattern) for pattern in workspace.get(key, [])] for key in ("members", "exclude")}
            matches = {key: any(_fits(app, folder, pattern) for pattern in patterns) for key, patterns in names.items()}
            return folder if matches["members"] and not matches["exclude"] else None
    return None


def _fits(app: Path, root: Path, pattern: str) -> bool:
    if Path(pattern).is_absolute():
        return app.match(pattern)
    return app in (folder.resolve() for folder in root.glob(pattern))


def _workspace_table(project: Path) -> dict[str, Any] | None:
    try:
        return load(str(project), project.read_bytes()).get("tool", {}).get("uv", {}).get("workspace")
    except ValueError as error:
        raise WorkspaceError(str(error)) from None


def folders_of_members(lock: Table) -> dict[str, str]:
    """The folders of the workspace's members by the names of their packages, from the content of its uv.lock."""
    return {package["name"]: folder for package in lock.get("package", []) if (folder := _folder(package))}


def _folder(package: Table) -> str:
    source = package.get("source", {})
    return source.get("editable") or source.get("directory") or source.get("virtual") or ""


def needed_members(lock: Table, name: str) -> list[str]:
    """The folders of the members that the package ``name`` depends on, directly or not."""
    packages: dict[str, Table] = {package["name"]: package for package in lock.get("package", [])}
    waiting, seen = [normalized(name)], set[str]()
    folders: list[str] = []
    while waiting:
        package = packages.get(current := waiting.pop(), {})
        if current in seen:
            continue
        seen.add(current)
        waiting += [dependency["name"] for dependency in package.get("dependencies", [])]
        if (folder := _folder(package)) and current != normalized(name):
            folders.append(folder)
    return sorted(folders)


def _files_of(root: Path, folder: str, listed: Callable[[Path], Listing]) -> dict[str, bytes]:
    """The files of a member. A link within the workspace is replaced by its target."""
    path = (root / folder).resolve()
    if not path.is_relative_to(root) or path == root or not path.is_dir():
        raise WorkspaceError(
            f"{root / requirements.LOCK} names the package in {folder!r}, which isn't a folder below {root}: move it"
            " there, or publish it as a package"
        )
    found: dict[str, bytes] = {}
    for name in listed(path).names:
        target = (path / name).resolve()
        if not (target.is_relative_to(root) and target.is_file()):
            raise WorkspaceError(
                f"{path / name} is a symbolic link, but not to a file of the workspace: replace it by the file, or add"
                " it to .gitignore"
            )
        found[f"{folder}/{name}"] = target.read_bytes()
    return found
