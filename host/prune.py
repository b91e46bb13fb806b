"""Removes old releases and everything that only they use."""

from __future__ import annotations

import shutil
from pathlib import Path

from host import assets, build, deployment, files, processes, release_phase, state, uploads
from host.packages import pythons, venv
from host.paths import Paths

KEPT_RELEASES = 5
# Builds of each kept release.
KEPT_BUILDS = 2
# Uploads of releases that failed, or that wait for their turn.
KEPT_UPLOADS = 10


def prune(paths: Paths, current: str) -> str:
    """Keep the newest ``KEPT_RELEASES`` releases and what is in use; returns how many releases are kept.

    ``current`` is the deployment that serves. Its release counts as the newest, also after a rollback.
    """
    in_use = {current, *state.needed(paths), *deployment.running(), *processes.in_use()}
    (paths.releases / deployment.release_of(current)).touch()
    newest = state.kept_releases(paths)[-KEPT_RELEASES:]
    releases = {*newest, *(deployment.release_of(name) for name in in_use)}
    for folder in _folders(paths.deployments):
        if folder.name not in in_use:
            deployment.remove(paths, folder.name)
    processes.remove_unused(paths)
    release_phase.remove_copies(paths)
    _prune_builds(paths, releases, in_use)
    _keep_only(paths.releases, releases)
    _prune_venvs(paths, releases, in_use)
    _prune_uploads(paths)
    return f"{len(releases)} kept"


def _prune_builds(paths: Paths, releases: set[str], deployments: set[str]) -> None:
    links = [paths.deployments / name / "app" for name in deployments]
    used = {link.readlink().parent.name for link in links if link.is_symlink()}
    by_age = sorted(_folders(paths.builds), key=lambda folder: folder.stat().st_mtime)
    for release in releases:
        # A rollback to a kept release builds nothing again, with the variables of today or with those of before.
        used.update([folder.name for folder in by_age if build.release_of(folder.name) == release][-KEPT_BUILDS:])
    _keep_only(paths.builds, used)
    assets.prune(paths)


def _prune_venvs(paths: Paths, releases: set[str], deployments: set[str]) -> None:
    # The packages of every kept release stay, so that a rollback to it needs no package registry.
    for link in paths.venv_links.glob("*"):
        if link.name not in releases:
            link.unlink()
    links = [*paths.venv_links.glob("*"), *(paths.deployments / name / "venv" for name in deployments)]
    _keep_only(paths.venvs, {link.resolve().name for link in links})
    venv.prune_marks(paths)
    pythons.prune(paths)


def _prune_uploads(paths: Paths) -> None:
    # The deploy user may have made links and folders there.
    by_age = sorted(paths.incoming.glob("*.tar"), key=lambda upload: upload.lstat().st_mtime)
    unpacked = [upload for upload in by_age if (paths.releases / upload.stem).is_dir()]
    # The newest stay: a failed release may be tried again, and another operator may be about to release one.
    for upload in {*unpacked, *by_age[:-KEPT_UPLOADS]}:
        files.discard(upload)
    uploads.remove_partial(paths)
    used = paths.host_program.resolve()
    for folder in (paths.incoming, paths.program_uploads, paths.programs):
        for program in folder.glob("host-*.pyz*"):
            # The upload configures the server again, as long as no newer one does.
            if program != used and (folder == paths.incoming or program.name != used.name):
                files.discard(program)


def _keep_only(parent: Path, names: set[str]) -> None:
    for folder in _folders(parent):
        if folder.name not in names:
            files.remove_tree(folder)
    # Leftovers of runs that were killed.
    for hidden in parent.glob(".*"):
        shutil.rmtree(hidden)


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
