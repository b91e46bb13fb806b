"""Sends requests at a steady pace over kept connections, and records every single one.

``python -m bench.load URL FILE`` sends until SIGTERM, then writes FILE. It is a process of its own, so that the
measurement can run `up` meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from bench.requests import Request, write

# A request that takes longer has failed, unless the caller chooses another limit. Nginx gives up after 60 s.
LIMIT_SECONDS = 65.0
SLOW_PATH = "/slow"
SLOW_SECONDS = 5.0
QUICK = (("GET", "/"), ("POST", "/echo"))
SLOW = (("GET", SLOW_PATH), ("POST", SLOW_PATH))


class BadResponse(Exception):
    """The server sent no valid response, or one that belongs to another request."""


@dataclass
class Response:
    status: int
    release: str
    body: bytes
    closes: bool


@dataclass
class Client:
    """One connection, kept as long as the server keeps it. It adds its requests to ``record``."""

    host: str
    port: int
    record: list[Request]
    limit: float = LIMIT_SECONDS
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _numbers: count[int] = field(default_factory=count)

    async def send(self, method: str, path: str, due: float) -> None:
        """Sends one request and records the result; ``due`` is the time at which it should have been sent."""
        sent = time.monotonic()
        status, release, problem = 0, "", ""
        try:
            async with asyncio.timeout(self.limit):
                response = await self._exchange(method, path)
            status, release = response.status, response.release
            if response.closes:
                await self.close()
        except (OSError, EOFError, BadResponse) as error:
            # OSError includes TimeoutError. A connection that ends early is an EOFError.
            problem = f"{type(error).__name__}: {error}"
            await self.close()
        self.record.append(
            Request(
                due=due,
                sent=sent,
                ended=time.monotonic(),
                method=method,
                path=path,
                status=status,
                release=release,
                problem=problem,
            )
        )

    async def close(self) -> None:
        if self._streams:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, method: str, path: str) -> Response:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        # Each body is unique, so that a response to another request is noticed.
        body = f"{id(self)}-{next(self._numbers)}".ljust(512, "x").encode() if method == "POST" else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        response = await _read(reader)
        if response.status == 200 and body and response.body != body:
            raise BadResponse("the body isn't the one that was sent")
        return response


async def _read(reader: asyncio.StreamReader) -> Response:
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" not in headers:
        raise BadResponse(f"a response without Content-Length: {status_line}")
    body = await reader.readexactly(int(headers["content-length"]))
    return Response(
        status=int(status_line.split()[1]),
        release=headers.get("release", ""),
        body=body,
        closes=headers.get("connection") == "close",
    )


async def run(url: str, *, rate: float, connections: int, slow: int, limit: float) -> list[Request]:
    """Sends until SIGTERM: ``rate`` requests a second in all, and besides ``slow`` long ones at any time."""
    parts = urlsplit(url)
    record: list[Request] = []
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    quick_clients, slow_clients = (
        [Client(parts.hostname or "", parts.port or 80, record, limit) for _ in range(number)]
        for number in (connections, slow)
    )
    start = time.monotonic()
    quick = (
        _send_at_pace(client, QUICK, first=start + n / rate, interval=connections / rate, stop=stop)
        for n, client in enumerate(quick_clients)
    )
    long = (
        _send_at_pace(client, SLOW, first=start + n, interval=SLOW_SECONDS, stop=stop)
        for n, client in enumerate(slow_clients)
    )
    await asyncio.gather(*quick, *long)
    return record


async def _send_at_pace(
    client: Client, targets: tuple[tuple[str, str], ...], *, first: float, interval: float, stop: asyncio.Event
) -> None:
    """A late request counts from its due time: otherwise a pause would hide the clients that wait in it."""
    for number in count():
        due = first + number * interval
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if stop.is_set():
            break
        await client.send(*targets[number % len(targets)], due)
    await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float, default=500, help="requests a second")
    parser.add_argument("--connections", type=int, default=32, help="kept connections for these requests")
    parser.add_argument("--slow", type=int, default=3, help="more connections, for requests that take 5 s")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds after which a request has failed")
    options = parser.parse_args()
    # Other work on these processors must not look like a slow response, so this process has priority over it.
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    gc.disable()
    load = run(options.url, rate=options.rate, connections=options.connections, slow=options.slow, limit=options.limit)
    record = asyncio.run(load)
    write(options.file, record)


if __name__ == "__main__":
    main()
