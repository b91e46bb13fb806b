"""Builds an app before it starts: runs its build command in a copy of the release, and links paths to /var/lib/app.

A build is complete or doesn't count. Its name is a digest of everything that it is made of: a rollback finds it again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from host import assets, collectstatic, deployment, files, linked_paths, oneshot, procfile, read_only, state, systemd
from host.console import Phases, phase
from host.deployment import Deployment, Folders
from host.errors import ReleaseError
from host.linked_paths import Link
from host.packages.isolation import BUILD_USER
from host.paths import Paths

# This file is written last. A build without it was interrupted and is made again.
MARK = ".complete"


@dataclass(frozen=True)
class Recipe:
    """What a build consists of: a command, or None, and links. ``is_usual``: Gantry chose the command."""

    command: str | None
    is_usual: bool
    links: list[Link]


def ensure(
    paths: Paths,
    options: Deployment,
    venv_folder: Path,
    *,
    seconds: Phases | None = None,
    with_data: bool = True,
) -> Folders:
    """Build the app if it needs that and hasn't been built; returns the folders to run. Raises ReleaseError.

    The caller has unpacked the release and installed its packages. The duration is stored in ``seconds``.
    Without ``with_data``, what linked paths point to isn't created: the volume with the data comes later.
    """
    release = paths.releases / options.release
    recipe = _recipe(paths, options, venv_folder)
    if not (recipe.command or recipe.links):
        return Folders(release, venv_folder)
    folder = paths.builds / _name(options, venv_folder, recipe)
    with phase("build", seconds) as notes:
        if (folder / MARK).exists():
            # ``prune`` keeps the builds that were used last.
            folder.touch()
            notes.append("unchanged")
        else:
            notes += _build(paths, options, folders=Folders(folder / "app", venv_folder), recipe=recipe)
        if with_data:
            linked_paths.provide(paths, release, recipe.links)
    return Folders(folder / "app", venv_folder)


def release_of(name: str) -> str:
    """The release that the build with that name was made of."""
    return name.partition("-")[0]


def _recipe(paths: Paths, options: Deployment, venv_folder: Path) -> Recipe:
    release, current = paths.releases / options.release, state.current(paths)
    commands = procfile.read(release)
    usual = None if "build" in commands else collectstatic.command(release, venv_folder, options.variables)
    links = linked_paths.find(
        paths,
        options,
        venv_folder=venv_folder,
        current=paths.deployments / current / "app" if current else None,
    )
    return Recipe(commands.get("build", usual), is_usual=usual is not None, links=links)


def _name(options: Deployment, venv_folder: Path, recipe: Recipe) -> str:
    """``<release>-<12 hex digits>``: the same command, packages, variables and links have the same name."""
    # A build with links alone sees no variables.
    variables = sorted(options.variables.items()) if recipe.command else []
    links = [link.path for link in recipe.links]
    inputs = json.dumps([venv_folder.name, recipe.command, variables, links]).encode()
    return f"{options.release}-{hashlib.sha256(inputs).hexdigest()[:12]}"


def _build(paths: Paths, options: Deployment, *, folders: Folders, recipe: Recipe) -> list[str]:
    """Make the build in ``folders.app``; returns notes for the output."""
    release, folder = paths.releases / options.release, folders.app.parent
    # The build of a run that was killed would still write into the folder that is removed and made again here.
    if killed := systemd.running(systemd.BUILD_UNIT.format("*")):
        systemd.systemctl("stop", *killed)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if recipe.command:
            files.copy_tree(release, folders.app, BUILD_USER)
            notes = _run(paths, options, folders=folders, recipe=recipe)
            files.seal(folders.app)
        else:
            # Nobody changes a file here, so the files themselves can be those of the release.
            files.link_tree(release, folders.app)
            notes = list[str]()
        linked_paths.make(paths, recipe.links, release=release, app=folders.app)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if recipe.command:
        assets.publish(paths, release, folders.app)
        files.sync(folder)
    (folder / MARK).touch()
    if recipe.links:
        notes.append(f"linked {', '.join(link.path for link in recipe.links)}")
    return notes


def _run(paths: Paths, options: Deployment, *, folders: Folders, recipe: Recipe) -> list[str]:
    """Run the build command in the copy, as the user that installs packages; returns notes for the output."""
    assert recipe.command
    deployment.write_files(paths, options, folders)
    files.write(paths.deployments / options.name / "build", procfile.script(recipe.command), 0o755)
    unit = systemd.BUILD_UNIT.format(options.name)
    lines = list[str]()
    succeeded = oneshot.succeeds(unit, lines.append if recipe.is_usual else oneshot.say_line)
    # Waits for processes that the command has left: none may write to the copy any more.
    systemd.systemctl("stop", unit)
    reason = collectstatic.nothing_to_collect("\n".join(lines)) if recipe.is_usual and not succeeded else None
    if succeeded:
        return [line.replace(f"{folders.app}/", "").rstrip(".") for line in lines[-1:]]
    if reason:
        systemd.systemctl("reset-failed", unit)
        return [reason]
    error = oneshot.failure(unit, "the build", command=recipe.command, app=folders.app)
    advice = read_only.outside_of_a_build(error.message) or error.advice
    if recipe.is_usual:
        raise ReleaseError(error.message, f"{collectstatic.REMEDY}\n{advice}".rstrip())
    raise ReleaseError(error.message, advice)
