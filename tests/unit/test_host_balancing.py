"""A server behind a balancer: found by its health checks, and closed to everybody else."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from host import front
from host.errors import ReleaseError
from host.paths import Paths

SOURCES = ["10.0.1.0/24", "10.0.2.7"]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    found.requests.parent.mkdir(parents=True)
    found.requests.touch()
    return found


def line(address: str, status: str = "200") -> str:
    return f'{time.time():.3f} 0.001 {address} "{status}"\n'


def write(paths: Paths, *lines: str) -> None:
    with paths.requests.open("a") as log:
        log.writelines(lines)


@pytest.mark.parametrize("address", ["10.0.1.200", "10.0.2.7"])
def test_a_server_is_found_when_a_check_of_the_balancer_is_answered_well_and_some_time_has_passed(
    paths: Paths, address: str
):
    threading.Timer(0.3, write, [paths, line(address)]).start()
    began = time.monotonic()
    front.wait_until_found(paths, SOURCES, settle=0.3, limit=10)
    assert 0.6 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("address", "status"),
    [("203.0.113.9", "200"), ("2001:db8::1", "200"), ("10.0.1.9", "500"), ("10.0.1.9", "404"), ("10.0.1.9", "-")],
)
def test_visitors_bad_answers_and_checks_of_before_do_not_count(paths: Paths, address: str, status: str):
    write(paths, line("10.0.1.9"))
    threading.Timer(0.1, write, [paths, line(address, status)]).start()
    with pytest.raises(ReleaseError, match=r"no health check of the balancer, from 10\.0\.1\.0/24, 10\.0\.2\.7, was"):
        front.wait_until_found(paths, SOURCES, settle=0, limit=0.5)


def test_only_the_status_that_is_expected_is_well_where_one_is(paths: Paths):
    threading.Timer(0.1, write, [paths, line("10.0.1.9", "200")]).start()
    with pytest.raises(ReleaseError, match="no health check"):
        front.wait_until_found(paths, SOURCES, expect=418, settle=0, limit=0.5)
    threading.Timer(0.1, write, [paths, line("10.0.1.9", "418")]).start()
    front.wait_until_found(paths, SOURCES, expect=418, settle=0, limit=10)


def test_one_that_is_open_is_closed_when_visitors_have_forgotten_its_address(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
):
    slept: list[float] = []
    monkeypatch.setattr(front.time, "sleep", slept.append)
    monkeypatch.setattr(front, "reload_firewall", lambda: None)
    for _ in range(2):
        front.close(paths, patience=60)
    assert slept == [60]


def test_closing_writes_what_the_firewall_includes_and_loads_it_every_time(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    loaded: list[str] = []
    monkeypatch.setattr(front, "reload_firewall", lambda: loaded.append(paths.closed.read_text()))
    front.close(paths)
    assert "unchanged" not in capsys.readouterr().out
    front.close(paths)
    assert loaded == ["tcp dport { 80, 443 } ct state new drop\n"] * 2
    assert "unchanged" in capsys.readouterr().out
