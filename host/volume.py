"""The volume of the setting storage: it is mounted at /var/lib/app, and its data outlives the server.

The volume is mounted at ``Paths.volume``, and its folder ``app`` at ``Paths.app_home``. The units of the app have
``StateDirectory=app``. So systemd starts none of them unless that mount is there.

Every step can be repeated, and a run that was killed needs no repair.
"""

from __future__ import annotations

import pwd
from pathlib import Path

from host import app_units, block_device, deployment, disk_reserve, files, mounts, state, systemd, volume_data
from host.console import phase, say
from host.deployment import APP_USER
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths

# How long a cloud may take until a volume that it has attached is a device of the server, or has its new size.
WAIT_SECONDS = 60.0
# How long to wait for a release in progress.
LOCK_SECONDS = 60.0
# How long the app may take to stop before it is killed.
STOP_SECONDS = 60.0
_OPTIONS = "nodev,nosuid"
# Those that Gantry writes. A local server has the first one only.
UNITS = (systemd.DATA_MOUNT, systemd.VOLUME_MOUNT)


def mount(
    paths: Paths, source: Path, size: int, *, wait: float = WAIT_SECONDS, stop_seconds: float = STOP_SECONDS
) -> None:
    """Mount the volume of ``size`` GB at /var/lib/app. ``source`` is a device, or ``Paths.volume`` if it is mounted.

    An app that runs without its volume is stopped, its data is moved to the volume, and the app starts again. Raises
    ReleaseError: the app then runs as before, or doesn't run if its data is on a volume that can't be mounted.
    """
    turn = exclusive(paths.lock, "the mount of the volume", LOCK_SECONDS)
    with turn, disk_reserve.available(paths), phase("volume") as notes:
        _require_free_place(paths)
        notes += _mount_volume(paths, source, size=size, wait=wait, stop_seconds=stop_seconds)
        was_mounted, current = is_mounted(paths), state.current(paths)
        if was_mounted:
            notes.append("mounted already")
            # After an unmount, somebody may have started the app. The unit is still disabled then.
            mounts.enable(paths, systemd.DATA_MOUNT)
        else:
            notes.append(volume_data.provide(paths, stop_seconds))
            _mount_data(paths)
        paths.volume_record.unlink(missing_ok=True)
        # A run that was killed may have stopped the app.
        if current and not (was_mounted and deployment.is_active(current)):
            volume_data.serve_again(paths)
    if paths.app_home_before_volume.exists():
        say(f"  the data from before is still in {paths.app_home_before_volume}; when all is well, delete it on the")
        say(f"  server with: sudo rm -r {paths.app_home_before_volume}")


def unmount(paths: Paths, stop_seconds: float = STOP_SECONDS) -> None:
    """Stop the app and unmount the volume, which is about to be detached.

    No boot starts the app again before the next ``mount``. Raises ReleaseError if another process uses the volume: the
    app runs then.
    """
    with exclusive(paths.lock, "the unmount of the volume", LOCK_SECONDS), disk_reserve.available(paths):
        if not is_configured(paths):
            say("no volume is mounted")
            return
        stop_and_unmount(paths, stop_seconds)
        # Another server may get the volume, and this one may still see it after a boot.
        for unit in UNITS:
            mounts.disable(paths, unit)
    say("the app is stopped, and the volume is unmounted")


def require(paths: Paths) -> None:
    """Raises ReleaseError if the app's data isn't mounted, so that no app starts on an empty folder or a copy."""
    if not is_mounted(paths):
        systemd.systemctl("start", systemd.DATA_MOUNT)
    if not is_mounted(paths):
        raise ReleaseError(
            f"the app's data isn't there: no volume is mounted at {paths.app_home}",
            f"look on the server why: systemctl status {systemd.VOLUME_MOUNT} {systemd.DATA_MOUNT}",
        )
    _require_device(paths)
    # An unmount that no mount followed has disabled them.
    for unit in UNITS:
        mounts.enable(paths, unit)


def is_configured(paths: Paths) -> bool:
    """Whether this server mounts a volume, or is about to."""
    return any(mounts.has_unit(paths, unit) for unit in UNITS)


def is_mounted(paths: Paths) -> bool:
    return mounts.is_bound(paths.volume_app_home, below=paths.volume, at=paths.app_home)


def stop_and_unmount(paths: Paths, stop_seconds: float) -> None:
    """Raises ReleaseError if another process uses the volume. The app runs then."""
    mounts.require_unused(paths.app_home, paths.volume, except_units=app_units.PATTERNS)
    stopped = app_units.stop_all(stop_seconds)
    try:
        mounts.unmount(systemd.DATA_MOUNT, paths.app_home)
        if mounts.has_unit(paths, systemd.VOLUME_MOUNT):
            mounts.unmount(systemd.VOLUME_MOUNT, paths.volume)
    except ReleaseError:
        if stopped:
            volume_data.serve_again(paths)
        raise


def _require_free_place(paths: Paths) -> None:
    for unit in UNITS:
        mounts.require_own(paths, unit)
    if mounts.find(paths.app_home) and not is_mounted(paths):
        raise ReleaseError(
            f"something else is mounted at {paths.app_home}",
            f"copy its data, unmount it on the server (sudo umount {paths.app_home}), and run `make up` again",
        )


def _mount_volume(paths: Paths, source: Path, *, size: int, wait: float, stop_seconds: float) -> list[str]:
    """Mount the volume at ``Paths.volume``; returns notes."""
    if source == paths.volume:
        if mounts.find(paths.volume) is None:
            raise ReleaseError(f"the volume's folder isn't mounted at {paths.volume}", "run `make up` again")
        return []
    block_device.wait_for(source, size, wait)
    is_there = _is_device_mounted(paths, source)
    block_device.ensure_file_system(paths, source)
    grows = block_device.is_smaller_than_device(source)
    if is_there and grows and not block_device.grow_mounted(source):
        say("  the file system can't grow while it is mounted: the app is stopped for that")
        stop_and_unmount(paths, stop_seconds)
        is_there = False
    if not is_there:
        if grows:
            block_device.grow_unmounted(source)
        else:
            block_device.check(source)
    _mount_device(paths, source)
    return [f"grown to {size} GB"] if grows else []


def _is_device_mounted(paths: Paths, source: Path) -> bool:
    """Raises ReleaseError if another device is mounted in its place."""
    mounted = mounts.find(paths.volume)
    if mounted and mounted.device != mounts.device_number(source):
        raise ReleaseError(
            f"another volume is mounted at {paths.volume}: the device {mounted.device}",
            "stop the app and unmount it on the server with: sudo gantry unmount-volume; then run `make up` again",
        )
    return mounted is not None


def _mount_device(paths: Paths, source: Path) -> None:
    """Mount by the cloud's link: a copy of the volume, such as one from its snapshot, has the same UUID."""
    mounts.mount(
        paths,
        systemd.VOLUME_MOUNT,
        what=str(source),
        where=paths.volume,
        type_=block_device.FILE_SYSTEM,
        options=_OPTIONS,
        description="the volume of the app's data",
    )
    if not _is_device_mounted(paths, source):
        raise ReleaseError(f"{source} was mounted at {paths.volume}, and isn't there any more", "run `make up` again")


def _require_device(paths: Paths) -> None:
    """Raises ReleaseError unless the device at ``Paths.volume`` is the volume that its unit names."""
    source, mounted = mounts.source_of(paths, systemd.VOLUME_MOUNT), mounts.find(paths.volume)
    # A unit of an earlier version has the UUID of the file system, which doesn't identify the volume.
    if source is None or source.is_relative_to(block_device.BY_UUID):
        return
    if not (mounted and source.is_block_device() and mounts.device_number(source) == mounted.device):
        raise ReleaseError(
            f"the app's data isn't on its volume: another device than {source} is mounted at {paths.volume}",
            "look at the volume in the cloud's console: it must be attached to this server. Then unmount the other one"
            " on the server with: sudo gantry unmount-volume; and run `make up` again",
        )


def _mount_data(paths: Paths) -> None:
    # Only root may write into the folder below the mount.
    paths.app_home.mkdir(mode=0o755, exist_ok=True)
    files.give(paths.app_home, "root")
    volume_data.write_unit(paths)
    unit = systemd.DATA_MOUNT
    if systemd.systemctl("start", unit).returncode != 0 or not is_mounted(paths):
        raise ReleaseError(
            f"{paths.volume_app_home} can't be mounted at {paths.app_home}:\n"
            f"{systemd.journal_lines(f'--unit={unit}', lines=5)}",
            f"correct what the lines above name (`systemctl status {unit}` on the server), and run `make up` again",
        )
    _own(paths.app_home)


def _own(folder: Path) -> None:
    """Give the data to the app's user, who may have another number on another server."""
    if folder.stat().st_uid != pwd.getpwnam(APP_USER).pw_uid:
        files.give(folder, APP_USER)
