"""Finds apps in the packages of a folder, and in modules of any name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from components.app import module_apps
from components.app.app_target import Files, Target
from host.packages import requirements

# Folders whose modules aren't the app.
NO_PACKAGES = ("tests", "test", "docs", "examples", "scripts", "migrations", "node_modules")
# Names of modules that make the app for another purpose than to serve it. They are searched last.
_OTHER_PURPOSES = re.compile("celery|worker|task|test|setup|conf|seed|shell|cli|fabfile|manage")


def modules(files: Files) -> list[str]:
    """The modules in the folder of the app and in src."""
    return [name for name in files.contents if name.endswith(".py") and "/" not in name.removeprefix("src/")]


def find(files: Files) -> tuple[str, Target] | None:
    """The first module with an app, whatever its name, and the app; raises DiscoveryError."""
    names = sorted(modules(files), key=lambda name: (_OTHER_PURPOSES.search(name) is not None, name))

    def found(name: str) -> tuple[str, Target] | None:
        root = "src/" if name.startswith("src/") else ""
        target = module_apps.in_file(files, name, root, is_certain=False)
        return (name, target) if target else None

    return next(module_apps.found_by(partial(found, name) for name in names), None)


def in_packages(files: Files) -> Iterator[Target]:
    """The apps in folders of the app or of src, at most one for each folder; raises ArgumentsError."""
    places = {tuple(name.split("/")[:-1]) for name in files.contents if name.endswith(".py")}
    packages = [("/".join([*place[:-1], ""]), place[-1]) for place in sorted(places) if place]

    def first(root: str, package: str) -> Target | None:
        is_package = root in ("", "src/") and package.isidentifier() and package not in (*NO_PACKAGES, "src")
        if not is_package or _has_own_packages(files, f"{root}{package}"):
            return None
        return next(module_apps.in_modules(files, root, f"{root}{package}/"), None)

    yield from module_apps.found_by(partial(first, *package) for package in packages)


def _has_own_packages(files: Files, folder: str) -> bool:
    """Whether the app has a uv workspace, and the folder a pyproject.toml: then the folder has packages of its own."""
    try:
        workspace = requirements.table(files.contents.get, "tool", "uv", "workspace")
    except ValueError:
        # The list of a folder below the app. The app's own list has been checked.
        return False
    return bool(workspace) and f"{folder}/{requirements.PROJECT}" in files.contents
