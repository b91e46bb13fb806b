"""What is mounted on a server, and the systemd units that mount."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from host import files, systemd
from host.errors import ReleaseError
from host.paths import Paths

_MOUNTS = Path("/proc/self/mountinfo")
# A command that reads a file ends within this time. A shell in the folder stays.
USE_SECONDS = 2.0
PAUSE_SECONDS = 0.2
_HEADER = "# Written by `gantry mount-volume`.\n"
# Without DefaultDependencies=no, a volume that is missing at boot would hold up everything that needs local-fs.target,
# and SSH is among that.
_UNIT = """\
{header}\
[Unit]
Description=Gantry: {description}
DefaultDependencies=no
Conflicts=umount.target
Before=umount.target
{assertions}
[Mount]
What={what}
Where={where}
Type={type}
Options={options}
"""


@dataclass(frozen=True)
class Mount:
    """``device`` is the major and minor number; ``root`` the folder of the file system that is mounted."""

    device: str
    root: str


def find(path: Path) -> Mount | None:
    """What is mounted at ``path``. The last mount covers the earlier ones."""
    found = None
    for line in _MOUNTS.read_text().splitlines():
        _, _, device, root, point, *_ = line.split()
        if _unescaped(point) == str(path):
            found = Mount(device, _unescaped(root))
    return found


def is_bound(folder: Path, below: Path, at: Path) -> bool:
    """Whether ``folder``, which is in the file system mounted at ``below``, is mounted ``at`` another place."""
    outer, inner = find(below), find(at)
    if outer is None or inner is None:
        return False
    root = str(Path(outer.root) / folder.relative_to(below))
    return (inner.device, inner.root) == (outer.device, root)


def device_number(device: Path) -> str:
    """The major and minor number of a block device."""
    number = device.stat().st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def mount(paths: Paths, unit: str, *, what: str, where: Path, type_: str, options: str, description: str) -> None:
    """Mount with a unit that also mounts after a boot. What is mounted at ``where`` already stays.

    Raises ReleaseError with the last lines of the unit's journal.
    """
    write_unit(paths, unit, what=what, where=where, type_=type_, options=options, description=description)
    if find(where):
        return
    where.mkdir(parents=True, exist_ok=True)
    if systemd.systemctl("start", unit).returncode != 0:
        raise ReleaseError(
            f"{what} can't be mounted at {where}:\n{systemd.journal_lines(f'--unit={unit}', lines=5)}",
            f"correct what the lines above name (`systemctl status {unit}` on the server), and run `make up` again",
        )


def write_unit(paths: Paths, unit: str, *, what: str, where: Path, type_: str, options: str, description: str) -> None:
    # systemd would make the source of a bind mount if it were missing, and the app would start with an empty folder.
    source = Path(what)
    assertions = (
        f"AssertPathIsMountPoint={source.parent}\nAssertPathIsDirectory={source}\n" if options == "bind" else ""
    )
    text = _UNIT.format(
        header=_HEADER,
        description=description,
        what=what,
        where=where,
        type=type_,
        options=options,
        assertions=assertions,
    )
    is_new = files.write(paths.units / unit, text.encode(), 0o644)
    files.point(_boot_link(paths, unit), f"../{unit}")
    if is_new:
        systemd.systemctl("daemon-reload")


def has_unit(paths: Paths, unit: str) -> bool:
    """Whether the server has the unit, and Gantry wrote it."""
    file = paths.units / unit
    return file.is_file() and file.read_text().startswith(_HEADER)


def require_own(paths: Paths, unit: str) -> None:
    """Raises ReleaseError if the server has such a unit that Gantry didn't write."""
    if (paths.units / unit).exists() and not has_unit(paths, unit):
        raise ReleaseError(
            f"{paths.units / unit} is a unit that Gantry didn't write",
            f"copy the data that it mounts, remove the unit on the server (sudo systemctl disable --now {unit} && sudo"
            f" rm {paths.units / unit}), and run `make up` again",
        )


def source_of(paths: Paths, unit: str) -> Path | None:
    """What the unit mounts; None without the unit."""
    if not has_unit(paths, unit):
        return None
    found = re.search(r"^What=(.*)$", (paths.units / unit).read_text(), re.MULTILINE)
    return Path(found[1]) if found else None


def remove_unit(paths: Paths, unit: str) -> None:
    """Remove the unit if Gantry wrote it."""
    if not has_unit(paths, unit):
        return
    _boot_link(paths, unit).unlink(missing_ok=True)
    (paths.units / unit).unlink(missing_ok=True)
    systemd.systemctl("daemon-reload")


def disable(paths: Paths, unit: str) -> None:
    """Don't mount after a boot. ``write_unit`` and ``enable`` end that."""
    if has_unit(paths, unit):
        _boot_link(paths, unit).unlink(missing_ok=True)


def enable(paths: Paths, unit: str) -> None:
    """Mount after a boot, if the server has the unit."""
    if has_unit(paths, unit):
        files.point(_boot_link(paths, unit), f"../{unit}")


def is_disabled(paths: Paths, unit: str) -> bool:
    return has_unit(paths, unit) and not _boot_link(paths, unit).is_symlink()


def unmount(unit: str, where: Path) -> None:
    """Raises ReleaseError, which names the processes that use the folder, if it stays mounted."""
    systemd.systemctl("stop", unit)
    if find(where):
        raise _in_use(where, users(where))


def require_unused(*places: Path, except_units: Sequence[str]) -> None:
    """Raises ReleaseError if a process uses what is mounted at one of the places, and doesn't end soon.

    Units that match ``except_units`` may use it.
    """
    for place in filter(find, places):
        if names := lasting_users(place, except_units):
            raise _in_use(place, names)


def lasting_users(folder: Path, except_units: Sequence[str] = ()) -> list[str]:
    """As ``users``, of the processes that still use the folder after ``USE_SECONDS``."""
    deadline = time.monotonic() + USE_SECONDS
    while (names := users(folder, except_units)) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return names


def users(folder: Path, except_units: Sequence[str] = ()) -> list[str]:
    """The processes that work in the folder or have files open there, such as ``bash (812)``.

    Those of units that match ``except_units`` are left out.
    """
    return [user for process in Path("/proc").glob("[0-9]*") for user in _uses(process, folder, except_units)]


def _uses(process: Path, folder: Path, except_units: Sequence[str]) -> Iterator[str]:
    """The name of the process if it uses the folder."""
    with suppress(OSError):
        links = [process / "cwd", process / "root", process / "exe", *(process / "fd").iterdir()]
        is_left_out = any(fnmatch(group, unit) for group in _groups(process) for unit in except_units)
        if any(_leads_to(link, folder) for link in links) and not is_left_out:
            yield f"{(process / 'comm').read_text().strip()} ({process.name})"


def _groups(process: Path) -> list[str]:
    """The names of the process's control groups, among which is its unit."""
    return re.split(r"[/\n]", (process / "cgroup").read_text())


def _in_use(where: Path, users: Sequence[str]) -> ReleaseError:
    return ReleaseError(
        f"{where} can't be unmounted, because it is in use by {', '.join(users) or 'an unknown process'}",
        "end that process on the server, such as a shell in that folder, and run `make up` again",
    )


def _leads_to(link: Path, folder: Path) -> bool:
    with suppress(OSError):
        return link.readlink().is_relative_to(folder)
    return False


def _boot_link(paths: Paths, unit: str) -> Path:
    return paths.units / "multi-user.target.wants" / unit


def _unescaped(path: str) -> str:
    """The kernel writes blanks in paths as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
