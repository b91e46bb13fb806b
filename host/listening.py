"""The sockets that processes listen on, by the kernel's tables in /proc."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# A state of a socket in /proc/net/tcp: TCP_LISTEN in include/net/tcp_states.h of the kernel.
_LISTEN = "0A"
# TCP_ESTABLISHED.
_ESTABLISHED = "01"
# A flag in /proc/net/unix: __SO_ACCEPTCON in include/linux/net.h.
_ACCEPTS = 0x10000
# Where a server is reached that listens on all addresses.
_ANY = {"0.0.0.0": ("127.0.0.1",), "::": ("127.0.0.1", "::1")}


@dataclass(frozen=True)
class TcpListener:
    """A TCP socket that accepts connections; ``user`` is the id of its owner."""

    address: str
    port: int
    user: int
    inode: int


@dataclass(frozen=True)
class TcpConnection:
    """An established TCP connection. ``fields`` are those of its row: net/ipv4/tcp_ipv4.c of the kernel."""

    fields: Sequence[str]

    @property
    def local(self) -> str:
        """Hex digits of the address and the port, such as 0200A8C0:0050."""
        return self.fields[1]

    @property
    def remote(self) -> str:
        return self.fields[2]

    @property
    def inode(self) -> int:
        return int(self.fields[9])


@dataclass(frozen=True)
class Group:
    """The processes of one systemd unit: all that are in the control group of its main process."""

    processes: tuple[int, ...]

    @classmethod
    def of(cls, process: int) -> Group:
        """The processes of the unit to which ``process`` belongs."""
        return cls.named(cls.name_of(process))

    @classmethod
    def named(cls, name: str) -> Group:
        """The processes of the group ``name``, without this one, which systemd has put there for ExecStartPost."""
        others = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
        return cls(tuple(other for other in others if name and other != os.getpid() and cls.name_of(other) == name))

    @staticmethod
    def name_of(process: int) -> str:
        """The control group of a process, or "" if the process has ended."""
        with suppress(OSError):
            return Path(f"/proc/{process}/cgroup").read_text()
        return ""

    def listens_on(self) -> list[int | str]:
        """The TCP ports and the paths of Unix sockets on which the processes listen."""
        inodes = {inode for process in self.processes for inode in _sockets(process)}
        ports = {listener.port for listener in tcp_listeners() if listener.inode in inodes}
        return [*sorted(ports), *sorted(_unix_paths(inodes))]

    def seconds_busy(self) -> float:
        """How long the threads have run so far, or have waited for a processor."""
        return sum(map(_seconds_busy, self.processes))


def accepts_unix(path: Path) -> bool:
    """Whether a process accepts connections on the Unix socket at ``path``."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        return True
    return False


def user_of(process: int) -> int | None:
    """The id of a process's user, or None if the process has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}").stat().st_uid
    return None


def reachable_address(port: int, user: int) -> str | None:
    """An address at which a process of the user with id ``user`` accepts TCP connections to ``port``, or None."""
    bound = [listener.address for listener in tcp_listeners() if (listener.port, listener.user) == (port, user)]
    # Most servers that listen on all IPv6 addresses accept IPv4, too, but not all do.
    reachable = [one for address in bound for one in _ANY.get(address, (address,))]
    return next((address for address in reachable if _accepts(address, port)), None)


def tcp_listeners() -> Iterator[TcpListener]:
    """All listening TCP sockets of this network namespace, IPv4 first."""
    for name in ("tcp", "tcp6"):
        # A kernel without IPv6 has no such table.
        with suppress(FileNotFoundError), Path("/proc/net", name).open() as table:
            next(table)
            yield from parse_tcp(table)


def parse_tcp(rows: Iterable[str]) -> Iterator[TcpListener]:
    """The listening sockets in the rows of a table. They come first, before perhaps thousands of connections."""
    for row in rows:
        # sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode: net/ipv4/tcp_ipv4.c
        fields = row.split()
        if fields[3] != _LISTEN:
            return
        address, _, port = fields[1].partition(":")
        yield TcpListener(_address(address), int(port, 16), user=int(fields[7]), inode=int(fields[9]))


def tcp_connections(table: str) -> Iterator[TcpConnection]:
    """The established connections in the text of a table, such as /proc/net/tcp."""
    # https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
    for row in table.splitlines()[1:]:
        fields = row.split()
        if fields[3] == _ESTABLISHED:
            yield TcpConnection(fields)


def _address(digits: str) -> str:
    """The address in the kernel's form: words of 32 bits in the order of this machine's bytes."""
    packed = bytes.fromhex(digits)
    if sys.byteorder == "little":
        packed = b"".join(packed[start : start + 4][::-1] for start in range(0, len(packed), 4))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _accepts(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


def _sockets(process: int) -> Iterator[int]:
    """The inodes of the sockets that a process has open."""
    with suppress(OSError):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                kind, _, inode = str(descriptor.readlink()).partition(":")
                if kind == "socket":
                    yield int(inode.strip("[]"))


def _unix_paths(inodes: set[int]) -> Iterator[str]:
    for row in Path("/proc/net/unix").read_text().splitlines()[1:]:
        # Num RefCount Protocol Flags Type St Inode Path: net/unix/af_unix.c
        fields = row.split(maxsplit=7)
        if len(fields) == 8 and int(fields[6]) in inodes and int(fields[3], 16) & _ACCEPTS:
            yield fields[7]


def _seconds_busy(process: int) -> float:
    nanoseconds = 0
    with suppress(OSError):
        for file in Path(f"/proc/{process}/task").glob("*/schedstat"):
            # Documentation/scheduler/sched-stats.rst of the kernel: on a processor, waiting for one, timeslices.
            running, waiting, _ = file.read_text().split()
            nanoseconds += int(running) + int(waiting)
    return nanoseconds / 1e9
