"""Clients that send requests to a server in the background and record every response."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

PATHS = ("/", "/", "/post")
PAUSE_SECONDS = 0.01


@dataclass
class Clients:
    """What all clients received: the number of responses by page, and a text for each failed request.

    A response fails if its status isn't ``accepted``.
    """

    accepted: Collection[int] = (200,)
    pages: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        return sum(self.pages.values()) + len(self.failures)

    def run(self, connection: http.client.HTTPConnection, path: str, end: threading.Event) -> None:
        """Send requests over one keep-alive connection until ``end``."""
        while not end.wait(PAUSE_SECONDS):
            try:
                status, page = send_request(connection, "POST" if path == "/post" else "GET", path)
                failure = None if status in self.accepted else f"{path} {status}"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                page, failure = "", f"{path} {error!r}"
            with self.lock:
                if failure:
                    self.failures.append(f"{time.time():.2f} {failure}")
                else:
                    self.pages[page] += 1
        connection.close()


@contextmanager
def running_clients(
    address: str,
    paths: Sequence[str] = PATHS,
    connection: Callable[[], http.client.HTTPConnection] | None = None,
    accepted: Collection[int] = (200,),
) -> Iterator[Clients]:
    """Run one client for each path while the block runs. Requests to /post are POST, all others GET.

    ``connection`` makes a client's connection, which is opened later; by default that is one to ``address``. Responses
    with another status than the ``accepted`` ones are failures.
    """
    clients = Clients(accepted)
    connection = connection or partial(http.client.HTTPConnection, address, timeout=30)
    try:
        with running_threads([partial(clients.run, connection(), path) for path in paths]):
            yield clients
    finally:
        print(f"clients: {clients.requests} requests, {len(clients.failures)} failed, pages {dict(clients.pages)}")


@contextmanager
def running_threads(targets: Sequence[Callable[[threading.Event], None]]) -> Iterator[None]:
    """Run each target in a thread while the block runs. Its event tells it to end, and it has 40 s for that."""
    end = threading.Event()
    threads = [threading.Thread(target=target, args=(end,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join(40)


def send_request(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, str]:
    """Status and text of the response."""
    connection.request(method, path, body=b"x" * 512 if method == "POST" else None)
    response = connection.getresponse()
    return response.status, response.read().decode()
