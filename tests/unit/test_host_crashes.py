"""The record of crashed workers, which Gunicorn writes and the watch reads."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.server.configuration import configuration
from host import crashes, systemd
from host.crashes import Crash
from host.health import UnixConnection
from host.paths import Paths
from tests.stack_settings import make_settings

APP = """
import os

def app(environ, start):
    ends = {"/exit": lambda: os._exit(1), "/segv": lambda: os.kill(os.getpid(), 11)}
    ends.get(environ["PATH_INFO"], lambda: None)()
    content_type = environ["QUERY_STRING"]
    start("200 OK", [("Content-Type", content_type)] if content_type else [])
    return [environ["REMOTE_ADDR"].encode()]
"""
# An app's own settings may use any name.
OWN = (
    "from time import time\nimport os as sys\ndef child_exit(server, worker):\n    open('own', 'a').write('called ')\n"
)


def prepared(folder: Path, own: str = "") -> list[str]:
    """The command of Gunicorn with a server's settings and an app that crashes on request; its socket is ``a.sock``."""
    app = folder / "app"
    app.mkdir()
    (app / "app.py").write_text(APP)
    if own:
        (app / "gunicorn.conf.py").write_text(own)
    settings = configuration(make_settings(app=app, workers=2), "/h.pyz").files[str(Paths().gunicorn_settings)]
    (folder / "gantry.conf.py").write_text(settings)
    options = ["--config", str(folder / "gantry.conf.py"), "--bind", f"unix:{folder / 'a.sock'}", "app:app"]
    return [sys.executable, "-m", "gunicorn", *options]


@contextmanager
def gunicorn(folder: Path, own: str = "") -> Iterator[Path]:
    """Gunicorn while the block runs; yields its socket."""
    path = folder / "a.sock"
    env = {**os.environ, "GANTRY_SOCKET": str(path)}
    with subprocess.Popen(prepared(folder, own), cwd=folder / "app", env=env) as process:
        try:
            wait_until(lambda: answers(path, "/"))
            yield path
        finally:
            process.terminate()


def answers(path: Path, url: str) -> bool:
    """Whether the app answers; not if the request has crashed its worker, or before Gunicorn listens."""
    with closing(UnixConnection(path, 5)) as connection, suppress(OSError):
        connection.request("GET", url)
        with connection.getresponse() as response:
            return response.status == 200
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_gunicorn_records_workers_that_crash_and_runs_the_apps_own_hook(tmp_path: Path):
    with gunicorn(tmp_path, OWN) as path:
        record = path.with_name("a.sock.crashes")
        for number, url in enumerate(["/exit", "/segv"], start=1):
            answers(path, url)
            wait_until(lambda number=number: len(crashes.read(record)) == number)
        assert list(map(str, crashes.read(record))) == ["exit status 1", "killed by SIGSEGV"]
        assert all(abs(crash.time - time.time()) < 60 for crash in crashes.read(record))
        wait_until(lambda: (tmp_path / "app/own").read_text() == "called called ")
    # Workers that end because Gunicorn stops didn't crash.
    assert len(crashes.read(record)) == 2


def test_gunicorn_goes_on_if_the_record_cannot_be_written(tmp_path: Path):
    with gunicorn(tmp_path) as path:
        path.with_name("a.sock.crashes.new").mkdir()
        for _ in range(2):
            answers(path, "/segv")
            wait_until(lambda: answers(path, "/"))


def test_an_app_gets_the_address_of_nginxs_header_and_its_own_hook_runs(tmp_path: Path):
    own = "def post_worker_init(worker):\n    open('own', 'a').write(worker.wsgi.__name__ + ' ')\n"
    with gunicorn(tmp_path, own) as path:
        for headers, address in (({"X-Real-IP": "2001:db8::7"}, "2001:db8::7"), ({}, "")):
            with closing(UnixConnection(path, 5)) as connection:
                connection.request("GET", "/", headers=headers)
                assert connection.getresponse().read().decode() == address
        wait_until(lambda: (tmp_path / "app/own").read_text() == "behind_nginx behind_nginx ")


@pytest.mark.parametrize(
    ("accept", "content_type", "buffering"),
    [
        ("text/html", "text/html", None),
        ("text/event-stream", "text/event-stream; charset=utf-8", None),
        ("Text/Event-Stream", "text/html", "yes"),
        ("text/event-stream", "", "yes"),
    ],
)
def test_a_visitor_who_claims_to_want_a_stream_gets_a_page_that_nginx_buffers(
    tmp_path: Path, accept: str, content_type: str, buffering: str | None
):
    with gunicorn(tmp_path) as path, closing(UnixConnection(path, 5)) as connection:
        connection.request("GET", f"/?{content_type.replace(' ', '')}", headers={"Accept": accept})
        assert connection.getresponse().getheader("X-Accel-Buffering") == buffering


@pytest.mark.parametrize(("hook", "arity"), [("child_exit(one)", 2), ("post_worker_init(one, two)", 1)])
def test_a_hook_that_gunicorn_would_refuse_is_refused(tmp_path: Path, hook: str, arity: int):
    command = prepared(tmp_path, f"def {hook}:\n    pass\n")
    result = subprocess.run([*command, "--check-config"], cwd=tmp_path / "app", capture_output=True, text=True)
    assert result.returncode != 0
    assert f"must have an arity of: {arity}" in result.stderr


@pytest.mark.parametrize("kind", ["nothing", "folder", "link", "pipe", "socket"])
def test_a_record_that_is_no_file_has_no_crashes(tmp_path: Path, kind: str):
    record, other = tmp_path / "record", tmp_path / "other"
    other.write_text("1.000 9\n")
    if kind == "folder":
        record.mkdir()
    elif kind == "link":
        record.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(record)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(record))
    assert crashes.read(record) == []


def test_of_a_huge_record_only_the_start_is_read(tmp_path: Path):
    (tmp_path / "record").write_bytes(b"1.000 9\n" * 1_000_000)
    assert 0 < len(crashes.read(tmp_path / "record")) <= crashes.MOST_BYTES / 8


@given(st.binary() | st.lists(st.from_regex(rb"[0-9. \n-]*")).map(b"\n".join))
def test_any_bytes_in_a_record_give_crashes_with_a_text_or_none(content: bytes):
    for crash in crashes.parse(content):
        assert str(crash).startswith(("exit status ", "killed by "))
        assert 0 <= crash.time < 1e12


@given(st.floats(0, 1e11), st.integers(0, signal.SIGRTMAX) | st.integers(0, 255).map(lambda code: code << 8))
def test_what_the_hook_writes_is_read_again_unless_the_worker_ended_as_usual(moment: float, status: int):
    read = crashes.parse(b"%.3f %d\n" % (moment, status))
    is_usual = status in (0, signal.SIGTERM)
    assert [crash.status for crash in read] == ([] if is_usual else [status])
    assert all(abs(crash.time - moment) < 0.01 for crash in read)


@given(st.text(), st.text() | st.integers().map(str))
def test_how_a_process_ended_has_a_text_for_any_properties(code: str, status: str):
    for known in (code, "1", "2", "3"):
        assert isinstance(systemd.end_of(known, status), str)
    assert isinstance(str(Crash(0, signal.SIGRTMIN + 5)), str)
