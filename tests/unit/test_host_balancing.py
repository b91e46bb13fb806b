"""A server behind a balancer: it waits for the balancer's health checks, and is closed for all other requests."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from host import balancing
from host.errors import ReleaseError
from host.paths import Paths

SOURCES = ["10.0.1.0/24", "10.0.2.7"]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.access_log.parent.mkdir(parents=True)
    paths.access_log.touch()
    return paths


def line(address: str, status: str = "200") -> str:
    return f'{time.time():.3f} 0.001 {address} "{status}"\n'


def write(paths: Paths, *lines: str) -> None:
    with paths.access_log.open("a") as log:
        log.writelines(lines)


@pytest.mark.parametrize("address", ["10.0.1.200", "10.0.2.7"])
def test_the_wait_ends_some_seconds_after_a_successful_check_of_the_balancer(paths: Paths, address: str):
    threading.Timer(0.3, write, [paths, line(address)]).start()
    began = time.monotonic()
    balancing.wait_for_balancer(paths, SOURCES, settle=0.3, limit=10)
    assert 0.6 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("address", "status"),
    [("203.0.113.9", "200"), ("2001:db8::1", "200"), ("10.0.1.9", "500"), ("10.0.1.9", "404"), ("10.0.1.9", "-")],
)
def test_requests_of_visitors_failed_checks_and_earlier_checks_do_not_end_the_wait(
    paths: Paths, address: str, status: str
):
    write(paths, line("10.0.1.9"))
    threading.Timer(0.1, write, [paths, line(address, status)]).start()
    with pytest.raises(
        ReleaseError, match=r"no health check of the balancer, from 10\.0\.1\.0/24, 10\.0\.2\.7, succeeded"
    ):
        balancing.wait_for_balancer(paths, SOURCES, settle=0, limit=0.5)


def test_if_a_status_is_expected_no_other_one_is_successful(paths: Paths):
    threading.Timer(0.1, write, [paths, line("10.0.1.9", "200")]).start()
    with pytest.raises(ReleaseError, match="no health check"):
        balancing.wait_for_balancer(paths, SOURCES, expect=418, settle=0, limit=0.5)
    threading.Timer(0.1, write, [paths, line("10.0.1.9", "418")]).start()
    balancing.wait_for_balancer(paths, SOURCES, expect=418, settle=0, limit=10)


def test_only_an_open_server_waits_before_it_is_closed(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    sleeps: list[float] = []
    monkeypatch.setattr(balancing.time, "sleep", sleeps.append)
    monkeypatch.setattr(balancing, "reload_firewall", lambda: None)
    for _ in range(2):
        balancing.close(paths, patience=60)
    assert sleeps == [60]


def test_the_rule_is_written_once_and_the_firewall_is_reloaded_every_time(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    loaded: list[str] = []
    monkeypatch.setattr(balancing, "reload_firewall", lambda: loaded.append(paths.closed_rule.read_text()))
    balancing.close(paths)
    assert "unchanged" not in capsys.readouterr().out
    balancing.close(paths)
    assert loaded == ["tcp dport { 80, 443 } ct state new drop\n"] * 2
    assert "unchanged" in capsys.readouterr().out
