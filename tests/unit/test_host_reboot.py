"""The drain before a reboot, and what ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import deployment, files, mounts, reboot, resume
from host.errors import ReleaseError
from tests.unit.host_server import FakeServer


@pytest.fixture
def reloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rule at each reload of the firewall. There are no connections."""
    rules = list[str]()
    monkeypatch.setattr(reboot, "open_connections", lambda: 0)
    return rules


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reloads: list[str]) -> FakeServer:
    server = FakeServer(tmp_path, monkeypatch)
    monkeypatch.setattr(reboot, "reload_firewall", lambda: reloads.append(server.paths.drain_rule.read_text()))
    return server


def test_a_drain_fails_the_checks_then_rejects_connections_until_its_end(server: FakeServer, reloads: list[str]):
    reboot.drain(server.paths, settle=0)
    assert (server.paths.draining.exists(), reloads) == (True, [reboot.NO_NEW_CONNECTIONS])
    reboot.end_drain(server.paths)
    assert reloads == [reboot.NO_NEW_CONNECTIONS, ""]
    assert not server.paths.draining.exists() and not server.paths.drain_rule.exists()


def test_a_drain_that_was_killed_before_its_rule_is_ended_too(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    def die(_: float) -> None:
        raise SystemExit

    monkeypatch.setattr(reboot.time, "sleep", die)
    with pytest.raises(SystemExit):
        reboot.drain(server.paths, settle=15)
    assert server.paths.draining.exists()
    reboot.end_drain(server.paths)
    assert not server.paths.draining.exists()


def test_the_drain_of_a_server_that_is_deleted_goes_on(server: FakeServer, reloads: list[str]):
    files.write(server.paths.draining, b"", 0o644)
    reboot.end_drain(server.paths)
    assert (server.paths.draining.exists(), reloads) == (True, [])


def test_a_release_ends_the_drain_of_an_update_that_was_killed(server: FakeServer):
    reboot.drain(server.paths, settle=0)
    server.release(server.upload("a"))
    assert not server.paths.drain_rule.exists()


@pytest.mark.parametrize("moment", ["healthy", "without its volume", "broken app"])
def test_a_boot_ends_the_drain_whatever_the_app_does(server: FakeServer, monkeypatch: pytest.MonkeyPatch, moment: str):
    server.release(server.upload("a"))
    reboot.drain(server.paths, settle=0)
    ended_at_start = list[bool]()

    def start(_: str) -> None:
        ended_at_start.append(not server.paths.drain_rule.exists())
        if moment == "broken app":
            raise ReleaseError("it doesn't start")

    monkeypatch.setattr(deployment, "start", start)
    monkeypatch.setattr(mounts, "is_disabled", lambda *_: moment == "without its volume")
    if moment == "broken app":
        with pytest.raises(ReleaseError, match="doesn't start"):
            resume.resume(server.paths)
    else:
        resume.resume(server.paths)
    assert ended_at_start == ([] if moment == "without its volume" else [False])
    assert not server.paths.drain_rule.exists()


def test_connections_to_nginx_are_counted_and_not_those_to_others(tmp_path: Path):
    head = "  sl  local_address rem_address   st\n"
    (tmp_path / "tcp").write_text(
        head
        + "   0: 0200A8C0:0050 0100A8C0:B1C2 01\n"  # a visitor
        + "   1: 00000000:0050 00000000:0000 0A\n"  # the listening socket
        + "   2: 0200A8C0:0050 0100A8C0:B1C3 06\n"  # a visitor who has left
        + "   3: 0200A8C0:B050 0100A8C0:0050 01\n"  # a connection of this server to another one
    )
    (tmp_path / "tcp6").write_text(head + f"   0: {'0' * 32}:01BB {'0' * 32}:B1C2 01\n")
    assert reboot.open_connections(tmp_path) == 2
