"""Requests at a steady pace over kept connections, every single one of which is written down.

``python -m bench.load URL FILE`` asks until SIGTERM, then writes FILE. It is a program of its own, so that whoever
starts it can be busy with other things.
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

# A request that takes longer has failed. Nginx gives up after 60 s.
LIMIT_SECONDS = 65.0
SLOW_PATH = "/slow"
SLOW_SECONDS = 5.0
QUICK = (("GET", "/"), ("POST", "/echo"))
SLOW = (("GET", SLOW_PATH), ("POST", SLOW_PATH))


class Failed(Exception):
    """What came isn't an answer, or not the one to this request."""


@dataclass
class Answer:
    status: int
    release: str
    body: bytes
    closes: bool


@dataclass
class Visitor:
    """One connection, kept as long as the server keeps it, and what was asked on it."""

    host: str
    port: int
    seen: list[Request]
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _numbers: count[int] = field(default_factory=count)

    async def ask(self, method: str, path: str, due: float) -> None:
        """Ask once and write down what came of it; ``due`` is when it should have been asked."""
        sent = time.monotonic()
        status, release, problem = 0, "", ""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                answer = await self._exchange(method, path)
            status, release = answer.status, answer.release
            if answer.closes:
                await self.leave()
        except (OSError, EOFError, Failed) as error:
            # TimeoutError is an OSError, and a connection that ends in the middle an EOFError.
            problem = f"{type(error).__name__}: {error}"
            await self.leave()
        self.seen.append(Request(due, sent, time.monotonic(), method, path, status, release, problem))

    async def leave(self) -> None:
        if self._streams:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, method: str, path: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        # Each body is one of its kind, so that the answer to another request is noticed.
        body = f"{id(self)}-{next(self._numbers)}".ljust(512, "x").encode() if method == "POST" else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await _read(reader)
        if answer.status == 200 and body and answer.body != body:
            raise Failed("another body than was sent")
        return answer


async def _read(reader: asyncio.StreamReader) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" not in headers:
        raise Failed(f"an answer without Content-Length: {first}")
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split()[1]), headers.get("release", ""), body, headers.get("connection") == "close")


async def run(url: str, rate: float, connections: int, slow: int) -> list[Request]:
    """Ask until SIGTERM: ``rate`` requests a second in all, and ``slow`` long ones at any time besides."""
    parts = urlsplit(url)
    seen: list[Request] = []
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    quick = [Visitor(parts.hostname or "", parts.port or 80, seen) for _ in range(connections)]
    long = [Visitor(parts.hostname or "", parts.port or 80, seen) for _ in range(slow)]
    start = time.monotonic()
    await asyncio.gather(
        *(_keep_asking(each, QUICK, start + n / rate, connections / rate, over) for n, each in enumerate(quick)),
        *(_keep_asking(each, SLOW, start + n, SLOW_SECONDS, over) for n, each in enumerate(long)),
    )
    return seen


async def _keep_asking(
    visitor: Visitor, what: tuple[tuple[str, str], ...], first: float, every: float, over: asyncio.Event
) -> None:
    """A request that is late still counts from when it was due: otherwise a pause would hide who waited in it."""
    for number in count():
        due = first + number * every
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if over.is_set():
            break
        await visitor.ask(*what[number % len(what)], due)
    await visitor.leave()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float, default=500, help="requests a second")
    parser.add_argument("--connections", type=int, default=32, help="kept connections that carry them")
    parser.add_argument("--slow", type=int, default=3, help="connections besides, with requests of 5 s")
    options = parser.parse_args()
    # Others' work on these processors must not look like waiting for an answer.
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    gc.disable()
    write(options.file, asyncio.run(run(options.url, options.rate, options.connections, options.slow)))


if __name__ == "__main__":
    main()
