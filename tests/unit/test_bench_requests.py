"""The load, the record of it, and what is concluded from it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench import plot
from bench.load import Visitor
from bench.promises import PROMISES, app_update, table
from bench.requests import Release, Request, percentile, read, since, within, write, wrong_pages

RELEASES = [Release(1, start=10, end=15), Release(2, start=20, end=25)]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRelease: 7\r\n%b\r\nok"

Serve = Callable[[bytes], bytes]


def request(sent: float, release: int, ended: float | None = None, status: int = 200) -> Request:
    return Request(sent, sent, sent if ended is None else ended, "GET", "/", status, str(release), "")


@pytest.mark.parametrize(
    ("asked", "wrong"),
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
def test_a_page_is_wrong_unless_its_release_served_between_question_and_answer(asked: Request, wrong: bool):
    assert (wrong_pages([asked], RELEASES) == [asked]) is wrong


def test_a_request_without_an_answer_is_failed_and_shows_no_page():
    nothing = Request(16, 16, 17, "GET", "/", 0, "", "ConnectionResetError")
    assert nothing.failed
    assert wrong_pages([nothing], RELEASES) == []


def test_latency_counts_from_when_the_request_was_due():
    assert (
        Request(due=1.0, sent=3.0, ended=3.5, method="GET", path="/", status=200, release="", problem="").latency == 2.5
    )


def test_a_percentile_is_a_value_that_was_seen():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([3.0], 0.99) == 3


def test_the_record_is_read_as_it_was_written(tmp_path: Path):
    odd = Request(2.5, 2.5, 3.25, "POST", "/", 0, "", 'Failed: "a, b"')
    write(tmp_path / "record.csv.gz", [odd, request(1, 4)])
    assert read(tmp_path / "record.csv.gz") == [request(1, 4), odd]
    assert [each.due for each in since([odd], 2)] == [0.5]
    assert within([odd, request(1, 4)], 1, 2.5) == [request(1, 4)]


def ask(serve: Serve, *asked: tuple[str, str]) -> tuple[list[Request], int]:
    """What one visitor sees of a server that answers, or hangs up, as ``serve`` says; and its connections."""

    async def talk() -> tuple[list[Request], int]:
        connections = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            while (head := await _head(reader)) and (said := serve(head)):
                writer.write(said)
                if not said.endswith(b"ok"):
                    break  # in the middle
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        visitor = Visitor("127.0.0.1", server.sockets[0].getsockname()[1], [])
        async with server:
            for method, path in asked:
                await visitor.ask(method, path, 0.0)
            await visitor.leave()
        return visitor.seen, connections

    # In a thread of its own: asyncio.run takes the loop away that Pulumi's mocks have in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, talk()).result()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        return head + await reader.readexactly(int(length[1]) if length else 0)
    except asyncio.IncompleteReadError:
        return b""


def test_requests_go_over_one_kept_connection_and_say_which_release_answered():
    seen, connections = ask(lambda _: ANSWER % b"", ("GET", "/"), ("GET", "/"))
    assert [(each.status, each.release, each.problem) for each in seen] == [(200, "7", "")] * 2
    assert connections == 1


def test_a_connection_that_the_server_says_it_closes_is_not_asked_again():
    seen, connections = ask(lambda _: ANSWER % b"Connection: close\r\n", ("GET", "/"), ("GET", "/"))
    assert [each.status for each in seen] == [200, 200]
    assert connections == 2


@pytest.mark.parametrize("said", [b"", (ANSWER % b"")[:-1]], ids=["nothing", "a part"])
def test_an_answer_that_does_not_come_in_full_is_a_failed_request(said: bytes):
    seen, _ = ask(lambda _: said, ("GET", "/"))
    assert [(each.failed, bool(each.problem)) for each in seen] == [(True, True)]


def test_a_post_that_gets_the_answer_to_another_is_a_failed_request():
    seen, _ = ask(lambda _: ANSWER % b"", ("POST", "/echo"))
    assert [(each.failed, each.problem) for each in seen] == [(True, "Failed: another body than was sent")]


def test_an_update_is_held_against_what_the_same_takes_by_hand():
    times = {"unchanged": [2.0], "by hand": [1.0]}
    assert app_update({**times, "changed": [3.5]}).kept is True
    assert app_update({**times, "changed": [3.6]}).kept is False


def test_the_tests_that_promises_are_shown_by_are_there():
    tests = "".join(file.read_text() for file in Path("tests").glob("*/test_*.py"))
    named = re.findall(r"`(test_\w+)`", "\n".join(table()))
    assert named
    assert [name for name in named if f"def {name}(" not in tests] == []
    assert len({promise.what for promise in PROMISES}) == len(PROMISES)


def test_a_picture_shows_each_release_and_each_failed_request():
    requests = [request(moment / 10, 1, moment / 10 + 0.002) for moment in range(300)]
    failed = [request(12.5, 1, 13, status=502)]
    shown = plot.picture("Latency", requests + failed, RELEASES, [(1.0, 4.0)], 30)
    assert shown.count(f'height="{plot.HEIGHT - plot.BOTTOM - plot.TOP}" fill="{plot.RELEASE}"') == len(RELEASES)
    assert shown.count("<circle") == 1


def test_a_picture_of_many_requests_stays_small():
    requests = [request(moment / 100, 1, moment / 100 + 0.002) for moment in range(30_000)]
    assert len(plot.picture("Latency", requests, RELEASES, [], 300)) < 40_000
