from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from components import ssh
from components.errors import UserError
from tests.mocks import AWS, DIGITALOCEAN, build_fleet, build_stack
from tests.stack_settings import make_settings

STEP = "urn:pulumi:prod::gantry::gantry:release:Rollout$command:remote:Command"
TYPES = {"aws": "aws:ec2/instance:Instance", "local": "pulumi-python:dynamic/gantry/local:Machine"}


@pytest.mark.parametrize(
    ("settings", "server", "network"),
    [
        ({}, "gantry/local:Machine", "gantry/local:Network"),
        (AWS, ":Instance", ":Vpc"),
        (DIGITALOCEAN, ":Droplet", "digitalocean:index/vpc:Vpc"),
    ],
)
def test_on_every_target_a_hook_runs_before_a_server_or_its_network_is_created(
    settings: dict[str, Any], server: str, network: str, tmp_path: Path
):
    recorder = build_stack(tmp_path, servers=2, balancer=True, **settings)
    servers = [resource for resource in recorder.of_type(server) if "balancer" not in resource.name]
    hooks = sorted(list(resource.request.hooks.before_create) for resource in servers)
    assert hooks == [["prod-0-app-data"], ["prod-1-app-data"]]
    assert list(recorder.one(network).request.hooks.before_create) == ["prod-app-data"]
    # A plain `pulumi destroy` fails for a state that has such a hook.
    assert [resource for resource in recorder.registrations if resource.request.hooks.before_delete] == []


def state_of(*servers: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """The state of a stack with these servers: pairs of a name and a target."""
    state: dict[str, dict[str, Any]] = {}
    for name, target in servers:
        id = f"i-{name}"
        connection = {"host": "203.0.113.7", "user": "deploy", "privateKey": "key", "hostKey": "FIRST"}
        urn = f"urn:pulumi:prod::gantry::gantry:{target}:Server${TYPES[target]}::{name}"
        state[urn] = {"type": "", "outputs": {"id": id}}
        outputs = {"triggers": [id], "connection": connection, "stdout": "OWN"}
        state[f"{STEP}::{name}-ready"] = {"type": "", "outputs": outputs}
    return state


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every server has a file; the host keys of those that were asked."""
    logins: list[str] = []

    def run(login: ssh.Login, words: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        logins.append(login.host_key)
        return subprocess.CompletedProcess(words, 0, b'{"files": 1, "bytes": 9, "on_volume": false}', b"")

    monkeypatch.setattr(ssh, "run", run)
    return logins


def build(folder: Path, state: dict[str, dict[str, Any]], **changes: Any) -> None:
    build_fleet(folder, make_settings(**{**AWS, **changes}), state=state)


def test_servers_that_stay_are_not_asked(asked: list[str], tmp_path: Path):
    build(tmp_path, state_of(("prod-0", "aws"), ("prod-1", "aws")), servers=2, balancer=True)
    assert asked == []


@pytest.mark.parametrize("servers", [(("prod-0", "aws"), ("prod-1", "aws")), (("prod-0", "local"),)])
def test_a_server_that_is_no_longer_in_the_settings_stops_the_program_at_once(
    servers: tuple[tuple[str, str], ...], asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("components.local.machine.status", lambda _id: "running")
    name = servers[-1][0]
    with pytest.raises(UserError, match=f"{name} is removed: its /var/lib/app has 1 file"):
        build(tmp_path, state_of(*servers))
    assert asked == ["OWN"]
    build(tmp_path, state_of(*servers), lose_data=(f"i-{name}",))


def test_lose_data_takes_no_name_because_a_name_would_count_more_than_once(asked: list[str], tmp_path: Path):
    with pytest.raises(UserError, match="pulumi config set loseData i-prod-0"):
        build(tmp_path, state_of(("prod-0", "aws")), lose_data=("prod-0",))
    assert asked == []
