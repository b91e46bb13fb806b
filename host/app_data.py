"""Counts the files in /var/lib/app that would be lost with this server. Prints JSON: files, bytes, on_volume.

The operator's computer sends this file to `python3 -`, because the host program of an older server lacks the command.
So it imports nothing of Gantry.
"""

from __future__ import annotations

import filecmp
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

APP_HOME = Path("/var/lib/app")
RELEASES = Path("/opt/gantry/releases")
# Celery's beat keeps the times of its last runs here. The suffix depends on the version of Python.
_BEAT_SCHEDULE = "celerybeat-schedule"


def report(app_home: Path = APP_HOME, releases: Path = RELEASES) -> dict[str, int | bool]:
    """The number of files, their size in bytes, and whether the folder is a volume, whose files aren't counted.

    Folders don't count, nor do files that Gantry has put there: copies of what a kept release ships.
    """
    if os.path.ismount(app_home):
        return {"files": 0, "bytes": 0, "on_volume": True}
    sizes = list(_sizes(app_home, releases))
    return {"files": len(sizes), "bytes": sum(sizes), "on_volume": False}


def count(folder: Path) -> tuple[int, int]:
    """The number of files in any folder, and their size in bytes."""
    sizes = list(_sizes(folder, folder / "no-releases"))
    return len(sizes), sum(sizes)


def _sizes(app_home: Path, releases: Path) -> Iterator[int]:
    kept = sorted(releases.iterdir()) if releases.is_dir() else []
    for parent, _, names in _walk(app_home):
        for name in names:
            file = Path(parent, name)
            path = file.relative_to(app_home)
            try:
                status = file.lstat()
                # Links count, and so do empty files. Sockets and pipes hold no data.
                if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                    continue
                if path.parent == Path() and name.startswith(_BEAT_SCHEDULE):
                    continue
                if any(_is_same(file, release / path) for release in kept):
                    continue
            except FileNotFoundError:
                # The app has just deleted it.
                continue
            yield status.st_size if stat.S_ISREG(status.st_mode) else 0


def _walk(app_home: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, with links to folders among the names. Raises OSError for a folder that can't be read."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, folders, names in os.walk(app_home, onerror=fail):
        yield parent, folders, [*names, *(name for name in folders if Path(parent, name).is_symlink())]


def _is_same(file: Path, shipped: Path) -> bool:
    # Only regular files are read: the app may have put a link or a pipe there.
    both_are_files = not (file.is_symlink() or shipped.is_symlink()) and file.is_file() and shipped.is_file()
    return both_are_files and filecmp.cmp(file, shipped, shallow=False)


if __name__ == "__main__":
    print(json.dumps(report()))
