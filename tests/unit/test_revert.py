from __future__ import annotations

import subprocess
from typing import Any

import pulumi
import pytest
from pulumi_command import remote

from components import ssh
from components.revert import EXTRA_SECONDS, Revert

FAILED = pulumi.ErrorHookArgs("urn", "id", "web-2-release", "command:remote:Command")
SAID = {
    "web-0": (0, b"revert  0.10 s\nrelease 3f2a91c0ffee is serving\n", b""),
    "web-1": (1, b"", b"error: \xff busy\n"),
}


class Servers:
    """What is run where; a server that isn't in SAID can't be reached."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: dict[str, tuple[ssh.Login, list[str], float]] = {}
        self.warned: list[str] = []
        monkeypatch.setattr(ssh, "run", self.run)
        monkeypatch.setattr(pulumi.log, "warn", self.warned.append)

    def run(self, login: ssh.Login, words: list[str], *, timeout: float) -> subprocess.CompletedProcess[bytes]:
        self.ran[login.address] = (login, words, timeout)
        if login.address not in SAID:
            raise subprocess.TimeoutExpired(words, timeout)
        return subprocess.CompletedProcess(words, *SAID[login.address])


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    return Servers(monkeypatch)


def asked_again(names: list[str]) -> Any:
    """What the hook of these servers tells the engine: whether to try the failed command again."""
    found: list[Any] = []

    @pulumi.runtime.test
    def fail() -> pulumi.Output[Any]:
        connections = {
            name: remote.ConnectionArgs(host=name, user="deploy", host_key=f"key of {name}", private_key="private")
            for name in names
        }
        revert = Revert("rollout", connections, wait=300)
        known = pulumi.Output.all(*(connection.host for connection in connections.values()))
        return known.apply(lambda _: found.append(revert.hook.callback(FAILED)))

    fail()
    return found[0]


def test_every_server_goes_back_and_the_failed_command_is_not_tried_again(servers: Servers):
    assert asked_again(["web-0", "web-1"]) is False
    for name in ("web-0", "web-1"):
        login = ssh.Login(name, "deploy", f"key of {name}", "private")
        assert servers.ran[name] == (login, ["sudo gantry rollback --wait 300"], 300 + EXTRA_SECONDS)


def test_what_came_of_it_is_said_for_each_server_also_where_it_did_not_work(servers: Servers):
    asked_again(["web-0", "web-1", "web-2"])
    assert sorted(servers.warned) == [
        "web-2-release failed; web-0: release 3f2a91c0ffee is serving",
        "web-2-release failed; web-1: error: \ufffd busy",
        "web-2-release failed; web-2: not reached (TimeoutExpired)",
    ]
