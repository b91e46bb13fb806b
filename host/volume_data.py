"""The folder ``app`` of a volume: made empty, or with the data that the app has on its server.

While data is copied, the original is in ``Paths.app_home_before_volume``. After the copy is renamed to ``app``, the
volume's data counts.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from host import app_units, data_move, files, mounts, resume, state, systemd
from host.console import say
from host.deployment import APP_USER
from host.errors import ReleaseError
from host.paths import Paths

_COPY = "app.partial"
# In a volume without the folder ``app``. mkfs.ext4 makes lost+found.
_OWN_NAMES = {_COPY, "lost+found"}


def provide(paths: Paths, stop_seconds: float) -> str:
    """Stop the app and make the folder ``app`` on the volume: with this server's data, if there is some.

    Returns a note. After an error the app runs as before. It stays stopped if the volume's data counts already.
    """
    was_found = paths.volume_app_home.is_dir()
    _check(paths)
    stopped = app_units.stop_all(stop_seconds)
    try:
        # The app may have written its first data while it stopped.
        _check(paths)
        return _found(paths) if was_found else _fill(paths)
    except Exception as error:
        if paths.volume_app_home.is_dir() and (not was_found or _is_moving(paths)):
            raise ReleaseError(
                f"the app's data is on the volume, and then this failed: {error}",
                "the app doesn't run. Run `make up` again, which goes on from here",
            ) from error
        if not was_found:
            _restore(paths)
        if stopped or state.current(paths):
            serve_again(paths)
        raise


def serve_again(paths: Paths) -> None:
    """Start the app that was stopped. If it doesn't start, only say so: the release that follows may correct it."""
    try:
        resume.serve_again(paths)
    except (ReleaseError, OSError) as error:
        say(f"  the app was stopped, and doesn't start again: {error}")


def _check(paths: Paths) -> None:
    """Raises ReleaseError if it isn't clear which data counts, or if the data doesn't fit."""
    original = _original(paths)
    has_data = _has_data(original)
    is_moved_away = original == paths.app_home_before_volume
    if paths.volume_app_home.is_dir():
        if has_data and not is_moved_away:
            raise ReleaseError(
                f"both the volume and this server's {paths.app_home} have data",
                f"decide which one counts. For the volume's, move the other one away on the server (sudo mv"
                f" {paths.app_home} {paths.app_home}.aside), and run `make up` again",
            )
        return
    if has_data and not is_moved_away and paths.app_home_before_volume.exists():
        raise ReleaseError(
            f"{paths.app_home_before_volume} has data of an earlier move",
            f"delete or rename it on the server (sudo rm -r {paths.app_home_before_volume}), and run `make up` again",
        )
    _require_nothing_else(paths.volume)
    # A copy of a run that was killed is made again.
    shutil.rmtree(paths.volume / _COPY, ignore_errors=True)
    if has_data:
        data_move.require_room(original, paths.volume)


def _require_nothing_else(volume: Path) -> None:
    """Raises ReleaseError if the volume, which has no folder ``app``, has files that Gantry didn't make."""
    if names := sorted({path.name for path in volume.iterdir()} - _OWN_NAMES):
        shown = ", ".join(names[:5]) + (", …" if names[5:] else "")
        target = volume / "app"
        raise ReleaseError(
            f"the volume has files that aren't in its folder app: {shown}",
            f"nothing was changed. If they are the app's data, move them on the server (sudo mkdir {target} && sudo mv"
            f" {volume / names[0]} {target}/, and so on); else delete them there. Then run `make up` again",
        )


def _original(paths: Paths) -> Path:
    """The folder of the server that has the app's data, if it has some."""
    is_moved_away = _is_moving(paths) and paths.app_home_before_volume.exists()
    return paths.app_home_before_volume if is_moved_away else paths.app_home


def _has_data(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _found(paths: Paths) -> str:
    if _is_moving(paths):
        # The run that renamed the copy may have ended before the name was on the disk.
        data_move.sync(paths.volume_app_home)
    return "found data on it"


def _fill(paths: Paths) -> str:
    """Make the folder while the app is stopped. Returns a note."""
    original, copy = _original(paths), paths.volume / _COPY
    if _has_data(original) and (users := mounts.lasting_users(original)):
        raise ReleaseError(
            f"{original} can't be moved, because it is in use by {', '.join(users)}, which isn't a process of the app",
            "end that process on the server, such as a shell in that folder, and run `make up` again",
        )
    # From here on, the app can't start without the volume's folder, also not after a reboot.
    write_unit(paths)
    if not _has_data(original):
        copy.mkdir(mode=0o755)
        shutil.chown(copy, APP_USER, APP_USER)
        _complete(paths, copy)
        return "new and empty"
    say(f"  the app is stopped while the data of {paths.app_home} is copied to the volume")
    files.write(paths.volume_record, json.dumps({"moving": True}).encode(), 0o600)
    if original == paths.app_home:
        paths.app_home.rename(paths.app_home_before_volume)
    data_move.copy(paths.app_home_before_volume, copy)
    _complete(paths, copy)
    return f"moved {data_move.size_of(paths.volume_app_home) / 1024**2:.1f} MB"


def _complete(paths: Paths, copy: Path) -> None:
    """From now on the volume has the app's data."""
    data_move.sync(copy)
    copy.rename(paths.volume_app_home)
    data_move.sync(paths.volume_app_home)


def _restore(paths: Paths) -> None:
    """Undo an unsuccessful move."""
    shutil.rmtree(paths.volume / _COPY, ignore_errors=True)
    if _original(paths) == paths.app_home_before_volume:
        if paths.app_home.is_dir():
            paths.app_home.rmdir()
        paths.app_home_before_volume.rename(paths.app_home)
    paths.volume_record.unlink(missing_ok=True)
    mounts.remove_unit(paths, systemd.DATA_MOUNT)


def write_unit(paths: Paths) -> None:
    mounts.write_unit(
        paths,
        systemd.DATA_MOUNT,
        what=str(paths.volume_app_home),
        where=paths.app_home,
        type_="none",
        options="bind",
        description="the app's data, on its volume",
    )


def _is_moving(paths: Paths) -> bool:
    return paths.volume_record.exists() and json.loads(paths.volume_record.read_text()).get("moving", False)
