"""The release phase: the Procfile's `release` command, such as a migration, before a release gets traffic."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from host import files, oneshot, procfile, systemd, written_files
from host.console import Phases, phase, say
from host.deployment import APP_USER, Deployment, Folders, write_files
from host.paths import Paths


def run(paths: Paths, deployment: Deployment, folders: Folders, seconds: Phases | None = None) -> None:
    """Run the release phase, if there is one, and print its output line by line.

    It runs in a copy of the app's folder that it may write to, and that is removed afterwards. Raises ReleaseError when
    it fails or takes too long.
    """
    command = procfile.read(paths.releases / deployment.release).get("release")
    if command is None:
        return
    with phase("release", seconds):
        write_files(paths, deployment, folders)
        files.write(paths.deployments / deployment.name / "release", procfile.script(command), 0o755)
        unit = systemd.RELEASE_UNIT.format(deployment.name)
        _wait_for_others(unit)
        remove_copies(paths)
        copy = paths.phase_copies / deployment.name
        try:
            files.copy_tree(folders.app, copy, APP_USER)
            _run_in(copy, unit, command)
        finally:
            remove_copies(paths)


def remove_copies(paths: Paths) -> None:
    """Remove the copies of release phases that have ended, also those that killed runs have left."""
    running = {unit.partition("@")[2].rpartition(".")[0] for unit in systemd.running(systemd.RELEASE_UNIT.format("*"))}
    for copy in paths.phase_copies.glob("*"):
        if copy.name not in running:
            shutil.rmtree(copy)


def _run_in(copy: Path, unit: str, command: str) -> None:
    before = written_files.snapshot(copy)
    if not oneshot.succeeds(unit):
        raise oneshot.failure(unit, "the release phase", command=command, app=copy)
    if written := written_files.since(before, copy):
        say(
            f"  the release phase wrote {written_files.summary(written)} into its own copy of the app, which is"
            " removed: make files that the app needs in a `build` line of the Procfile, and keep data with the setting"
            f" linkedPaths or in {Paths().app_home}"
        )


def _wait_for_others(unit: str) -> None:
    """Wait for release phases that killed runs have started: two migrations at once could damage each other."""
    while others := systemd.running(systemd.RELEASE_UNIT.format("*")) - {unit}:
        say(f"  waiting for {', '.join(sorted(others))}, which an interrupted run has started")
        time.sleep(2)
