"""The end of the setting storage on a server: the app goes on with an empty folder. The data stays on the volume."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from host import app_units, files, mounts, systemd, volume, volume_data
from host.console import say
from host.deployment import APP_USER
from host.errors import ReleaseError
from host.paths import Paths


def is_due(paths: Paths, *, agreed: bool) -> bool:
    """Whether the server has a volume, which a release without one gives up. Raises ReleaseError unless ``agreed``."""
    if not volume.is_configured(paths):
        return False
    if not agreed:
        raise ReleaseError(
            f"the app's data is on a volume, and the setting storage is gone: the app would start with an empty"
            f" {paths.app_home}",
            "set storage back, then run `make up` (pulumi config set storage <GB>). If the data may be deleted, run"
            " after that: pulumi config set deleteStorage true; make up; pulumi config rm storage; make up",
        )
    return True


@contextmanager
def given_up(paths: Paths) -> Generator[None]:
    """Stop the app and unmount the volume. The block makes a release serve with an empty folder of the server.

    If the block fails, the volume is mounted again, and the app that served before runs with its data. The caller
    holds the lock.
    """
    units = {unit: (paths.units / unit).read_bytes() for unit in volume.UNITS if mounts.has_unit(paths, unit)}
    volume.stop_and_unmount(paths, volume.STOP_SECONDS)
    try:
        files.give(paths.app_home, APP_USER)
        # The unit of the data is removed last: it is why a run that was killed is continued.
        for unit in (systemd.VOLUME_MOUNT, systemd.DATA_MOUNT):
            mounts.remove_unit(paths, unit)
        say(f"  the volume is unmounted: {paths.app_home} is a folder of this server again")
        yield
    except BaseException:
        _take_back(paths, units)
        raise


def _take_back(paths: Paths, units: Mapping[str, bytes]) -> None:
    """Mount the volume again after a release that failed without it, and serve again."""
    app_units.stop_all(volume.STOP_SECONDS)
    _clear(paths)
    files.give(paths.app_home, "root")
    for unit, text in units.items():
        files.write(paths.units / unit, text, 0o644)
        mounts.enable(paths, unit)
    systemd.systemctl("daemon-reload")
    for unit in (systemd.VOLUME_MOUNT, systemd.DATA_MOUNT):
        if unit in units:
            systemd.systemctl("start", unit)
    if volume.is_mounted(paths):
        say("  the volume is mounted again")
        volume_data.serve_again(paths)
    else:
        say(f"  the volume can't be mounted again, and the app doesn't run: systemctl status {systemd.DATA_MOUNT}")


def _clear(paths: Paths) -> None:
    """Move away the files of the release that failed: below the mount they would be hidden."""
    if any(paths.app_home.iterdir()):
        aside = paths.app_home.with_name(f"{paths.app_home.name}.failed-release")
        shutil.rmtree(aside, ignore_errors=True)
        paths.app_home.rename(aside)
        paths.app_home.mkdir(mode=0o755)
        say(f"  what the release wrote to {paths.app_home} is in {aside}")
