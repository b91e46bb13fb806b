"""Visitors with addresses of their own who hold connections to a server: slow requests and stalled uploads."""

from __future__ import annotations

import ipaddress
import re
import resource
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

_STARTS = b"GET / HTTP/1.1\r\nHost: slow.test\r\n"


@contextmanager
def addresses(server: str, count: int) -> Iterator[list[str]]:
    """More addresses of this computer in the network of ``server``, while the block runs."""
    route = subprocess.run(["ip", "route", "get", server], capture_output=True, text=True, check=True).stdout
    match = re.search(r" dev (\S+) src (\S+)", route)
    assert match, route
    # At the end of the network, because machines get the first addresses.
    last = int(ipaddress.ip_interface(f"{match[2]}/24").network.broadcast_address) - 1
    new = [str(ipaddress.ip_address(last - number)) for number in range(count)]
    try:
        for address in new:
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", match[1]], check=True)
        yield new
    finally:
        for address in new:
            subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", match[1]], check=False)


def ping(server: str, source: str, count: int) -> None:
    """Send ``count`` pings from ``source``, each with another id. They could have any other address as the source."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as connection:
        connection.bind((source, 0))
        for number in range(1, count + 1):
            # Type 8, and the checksum of the five words: its one's complement.
            connection.sendto(struct.pack("!BBHHH", 8, 0, 0xFFFF - (0x0800 + number + 1), number, 1), (server, 0))
            if number % 50 == 0:
                time.sleep(0.02)


@dataclass
class SlowVisitors:
    """Open ``count`` connections from each of ``sources``, send a line of a request's header each second on each."""

    server: str
    sources: Sequence[str]
    count: int
    end: threading.Event = field(default_factory=threading.Event)
    opened: int = 0

    def run(self) -> None:
        connections = [(source, _connection(self.server, source)) for source in self.sources for _ in range(self.count)]
        started = set[int]()
        while not self.end.wait(1):
            for index, (source, connection) in enumerate(connections):
                try:
                    connection.send(b"X-Slow: 1\r\n" if index in started else _STARTS)
                    self.opened += index not in started
                    started.add(index)
                except BlockingIOError:
                    continue  # the server doesn't answer it
                except OSError:
                    # The server has ended the connection.
                    connection.close()
                    started.discard(index)
                    connections[index] = (source, _connection(self.server, source))
        for _, connection in connections:
            connection.close()


@contextmanager
def slow_visitors(server: str, sources: Sequence[str], count: int) -> Iterator[SlowVisitors]:
    """``count`` slow visitors from each of ``sources``, while the block runs."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    visitors = SlowVisitors(server, sources, count)
    thread = threading.Thread(target=visitors.run, daemon=True)
    thread.start()
    try:
        yield visitors
    finally:
        visitors.end.set()
        thread.join(30)


@dataclass
class StalledUploads:
    """Uploads that began and don't end. A byte every 3 s keeps each from its time limit, until ``stall``."""

    connections: list[socket.socket] = field(default_factory=list[socket.socket])
    _stalled: threading.Event = field(default_factory=threading.Event)

    def stall(self) -> None:
        """Send nothing more."""
        self._stalled.set()

    def statuses(self) -> Counter[int | None]:
        """How many have which status as the answer. None stands for no answer yet."""
        return Counter(map(_status_of, self.connections))

    def run(self) -> None:
        while not self._stalled.wait(3):
            for connection in list(self.connections):
                with suppress(OSError):
                    connection.send(b"x")


@contextmanager
def stalled_uploads(server: str, source: str, count: int, megabytes: int) -> Iterator[StalledUploads]:
    """Begin ``count`` uploads of some more than ``megabytes``, and don't finish them while the block runs."""
    head = (
        f"POST /post HTTP/1.1\r\nHost: slow.test\r\nContent-Length: {megabytes * 1024 * 1024 + 1000}\r\n\r\n".encode()
    )
    uploads = StalledUploads()
    thread = threading.Thread(target=uploads.run, daemon=True)
    thread.start()
    with ExitStack() as stack:
        stack.callback(thread.join, 30)
        stack.callback(uploads.stall)
        for _ in range(count):
            connection = stack.enter_context(
                socket.create_connection((server, 80), timeout=10, source_address=(source, 0))
            )
            # The server may refuse it before its end.
            with suppress(OSError):
                connection.sendall(head + b"x" * megabytes * 1024 * 1024)
            connection.setblocking(False)
            uploads.connections.append(connection)
        yield uploads


def _status_of(connection: socket.socket) -> int | None:
    try:
        answer = connection.recv(1000, socket.MSG_PEEK)
    except OSError:
        return None
    return int(answer.split()[1]) if answer else None


def _connection(server: str, source: str) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind((source, 0))
    connection.connect_ex((server, 80))
    return connection
