from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pulumi
import pytest
from pulumi_command import remote

from components import ssh
from components.rollout.rollback import EXTRA_SECONDS, RollbackHook

FAILURE = pulumi.ErrorHookArgs("urn", "id", "web-2-release", "command:remote:Command")
# Exit status, standard output and standard error of the rollback on each server. Others can't be reached.
RESULTS = {
    "web-0": (0, b"rollback  0.10 s\nrelease 3f2a91c0ffee is serving\n", b""),
    "web-1": (1, b"", b"error: \xff busy\n"),
}


class Servers:
    """Answers SSH commands with RESULTS, and records them and the warnings."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: dict[str, tuple[ssh.Login, list[str], float]] = {}
        self.warnings: list[str] = []
        monkeypatch.setattr(ssh, "run", self.run)
        monkeypatch.setattr(pulumi.log, "warn", self.warnings.append)

    def run(self, login: ssh.Login, words: list[str], *, timeout: float) -> subprocess.CompletedProcess[bytes]:
        self.commands[login.address] = (login, words, timeout)
        if login.address not in RESULTS:
            raise subprocess.TimeoutExpired(words, timeout)
        return subprocess.CompletedProcess(words, *RESULTS[login.address])


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    return Servers(monkeypatch)


def run_hook(names: Sequence[str]) -> object:
    """Run the hook of these servers. Returns its answer: whether the engine should try the failed command again."""
    results: list[object] = []

    @pulumi.runtime.test
    def fail() -> pulumi.Output[None]:
        connections = {
            name: remote.ConnectionArgs(host=name, user="deploy", host_key=f"key of {name}", private_key="private")
            for name in names
        }
        rollback = RollbackHook("rollout", connections, wait_seconds=300)
        hosts = pulumi.Output.all(*(connection.host for connection in connections.values()))
        return hosts.apply(lambda _: results.append(rollback.hook.callback(FAILURE)))

    fail()
    return results[0]


def test_every_server_rolls_back_and_the_failed_command_is_not_tried_again(servers: Servers):
    assert run_hook(["web-0", "web-1"]) is False
    for name in ("web-0", "web-1"):
        login = ssh.Login(name, "deploy", f"key of {name}", "private")
        assert servers.commands[name] == (login, ["sudo gantry rollback --wait 300"], 300 + EXTRA_SECONDS)


def test_a_warning_for_each_server_says_how_its_rollback_ended(servers: Servers):
    run_hook(["web-0", "web-1", "web-2"])
    assert sorted(servers.warnings) == [
        "web-2-release failed; web-0: release 3f2a91c0ffee is serving",
        "web-2-release failed; web-1: error: \ufffd busy",
        "web-2-release failed; web-2: not reached (TimeoutExpired)",
    ]
