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
    "other", [line("203.0.113.9"), line("10.0.1.9", "500"), line("10.0.1.9", "-"), line("2001:db8::1")]
)
def test_visitors_bad_answers_and_checks_of_before_do_not_count(paths: Paths, other: str):
    write(paths, line("10.0.1.9"))
    threading.Timer(0.1, write, [paths, other]).start()
    with pytest.raises(ReleaseError, match=r"no health check of the balancer, from 10\.0\.1\.0/24, 10\.0\.2\.7, was"):
        front.wait_until_found(paths, SOURCES, settle=0, limit=0.5)


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
