"""The load, its record, and the conclusions from it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bench import plot
from bench.load import Client
from bench.promises import PROMISES, app_update, table
from bench.requests import Release, Request, percentile, read, since, within, write, wrong_pages

RELEASES = [Release(1, start=10, end=15), Release(2, start=20, end=25)]
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRelease: 7\r\n%b\r\nok"

Serve = Callable[[bytes], bytes]


def request(sent: float, release: int, *, ended: float | None = None, status: int = 200) -> Request:
    return Request(
        due=sent,
        sent=sent,
        ended=sent if ended is None else ended,
        method="GET",
        path="/",
        status=status,
        release=str(release),
        problem="",
    )


@pytest.mark.parametrize(
    ("sample", "wrong"),
    [
        (request(5, 0), False),
        (request(5, 1), True),
        (request(9, 1, ended=11), False),
        (request(12, 0), False),
        (request(12, 1), False),
        (request(12, 2), True),
        (request(14, 0, ended=19), False),
        (request(16, 0), True),
        (request(16, 1), False),
        (request(30, 2), False),
        (request(30, 1), True),
    ],
)
def test_a_page_is_wrong_unless_its_release_served_between_request_and_response(sample: Request, wrong: bool):
    assert (wrong_pages([sample], RELEASES) == [sample]) is wrong


def test_a_request_without_a_response_has_failed_and_shows_no_page():
    failure = replace(request(16, 0, ended=17, status=0), release="", problem="ConnectionResetError")
    assert failure.failed
    assert wrong_pages([failure], RELEASES) == []


def test_latency_counts_from_when_the_request_was_due():
    late = replace(request(3.0, 0, ended=3.5), due=1.0)
    assert late.latency == 2.5


def test_a_percentile_is_one_of_the_values():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([3.0], 0.99) == 3


def test_a_record_that_is_written_and_read_is_the_same(tmp_path: Path):
    odd = replace(request(2.5, 0, ended=3.25, status=0), method="POST", release="", problem='Failed: "a, b"')
    write(tmp_path / "record.csv.gz", [odd, request(1, 4)])
    assert read(tmp_path / "record.csv.gz") == [request(1, 4), odd]
    assert [shifted.due for shifted in since([odd], 2)] == [0.5]
    assert within([odd, request(1, 4)], 1, 2.5) == [request(1, 4)]


def send(serve: Serve, *targets: tuple[str, str]) -> tuple[list[Request], int]:
    """Sends requests to a server that responds with ``serve``, or hangs up if that returns nothing.

    Returns the client's record and the number of its connections.
    """

    async def exchange() -> tuple[list[Request], int]:
        connections = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            while (message := await _read_request(reader)) and (response := serve(message)):
                writer.write(response)
                if not response.endswith(b"ok"):
                    break  # hang up in the middle of a response
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        client = Client("127.0.0.1", server.sockets[0].getsockname()[1], [])
        async with server:
            for method, path in targets:
                await client.send(method, path, 0.0)
            await client.close()
        return client.record, connections

    # In another thread, because asyncio.run would remove the event loop that Pulumi's mocks use in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, exchange()).result()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        return head + await reader.readexactly(int(length[1]) if length else 0)
    except asyncio.IncompleteReadError:
        return b""


def test_requests_use_one_kept_connection_and_record_the_release_that_responded():
    record, connections = send(lambda _: RESPONSE % b"", ("GET", "/"), ("GET", "/"))
    assert [(sent.status, sent.release, sent.problem) for sent in record] == [(200, "7", "")] * 2
    assert connections == 1


def test_a_connection_that_the_server_closes_is_not_used_again():
    record, connections = send(lambda _: RESPONSE % b"Connection: close\r\n", ("GET", "/"), ("GET", "/"))
    assert [sent.status for sent in record] == [200, 200]
    assert connections == 2


@pytest.mark.parametrize("response", [b"", (RESPONSE % b"")[:-1]], ids=["nothing", "a part"])
def test_a_request_with_an_incomplete_response_has_failed(response: bytes):
    record, _ = send(lambda _: response, ("GET", "/"))
    assert [(sent.failed, bool(sent.problem)) for sent in record] == [(True, True)]


def test_a_post_that_gets_the_response_to_another_one_has_failed():
    record, _ = send(lambda _: RESPONSE % b"", ("POST", "/echo"))
    assert [(sent.failed, sent.problem) for sent in record] == [
        (True, "BadResponse: the body isn't the one that was sent")
    ]


def test_an_update_is_compared_with_a_manual_release():
    times = {"unchanged": [2.0], "by hand": [1.0]}
    assert app_update({**times, "changed": [3.5]}).kept is True
    assert app_update({**times, "changed": [3.6]}).kept is False


def test_the_tests_that_promises_name_exist():
    tests = "".join(file.read_text() for file in Path("tests").glob("*/test_*.py"))
    names = re.findall(r"`(test_\w+)`", "\n".join(table()))
    assert names
    assert [name for name in names if f"def {name}(" not in tests] == []
    assert len({promise.what for promise in PROMISES}) == len(PROMISES)


def test_a_picture_shows_each_release_and_each_failed_request():
    requests = [request(moment / 10, 1, ended=moment / 10 + 0.002) for moment in range(300)]
    failed = [request(12.5, 1, ended=13, status=502)]
    picture = plot.picture("Latency", requests=requests + failed, releases=RELEASES, unchanged=[(1.0, 4.0)], seconds=30)
    assert picture.count(f'height="{plot.HEIGHT - plot.BOTTOM - plot.TOP}" fill="{plot.RELEASE}"') == len(RELEASES)
    assert picture.count("<circle") == 1


def test_a_picture_of_many_requests_stays_small():
    requests = [request(moment / 100, 1, ended=moment / 100 + 0.002) for moment in range(30_000)]
    picture = plot.picture("Latency", requests=requests, releases=RELEASES, unchanged=[], seconds=300)
    assert len(picture) < 40_000
