"""Which processes listen on a TCP port, from the kernel's tables: a server may lack the program that lists them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"


@dataclass(frozen=True)
class Listener:
    """A process that listens, with its id and the systemd unit that it belongs to, or ""."""

    name: str
    process: int
    unit: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.process}{f' of {self.unit}' if self.unit else ''})"


def on(port: int, proc: Path = Path("/proc")) -> list[Listener]:
    """The processes that listen on the port, by their ids. Empty if there is none."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _inodes(proc / "net" / table, port)}
    if not sockets:
        return []
    folders = sorted((folder for folder in proc.iterdir() if folder.name.isdecimal()), key=lambda path: int(path.name))
    return [_listener(folder) for folder in folders if sockets & _open_files(folder)]


def _inodes(table: Path, port: int) -> list[str]:
    # https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
    with suppress(FileNotFoundError):
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
        return [row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]
    return []


def _open_files(folder: Path) -> set[str]:
    found: set[str] = set()
    # A process may end meanwhile.
    with suppress(OSError):
        for file in (folder / "fd").iterdir():
            with suppress(OSError):
                found.add(str(file.readlink()))
    return found


def _listener(folder: Path) -> Listener:
    name = cgroup = ""
    with suppress(OSError):
        name, cgroup = (folder / "comm").read_text().strip(), (folder / "cgroup").read_text()
    units = [word for line in cgroup.splitlines() for word in line.split("/") if word.endswith(".service")]
    return Listener(name=name, process=int(folder.name), unit=units[-1] if units else "")
