"""The real engine and the simulated clouds' providers, as far as no machine is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import slope
from tests.clouds import by_hand
from tests.clouds.commands import recorded
from tests.clouds.provider import Cloud
from tests.clouds.site import LARGER, new_stack, simulated
from tests.clouds.world import Paper
from tests.stack import Stack

pytestmark = pytest.mark.engine


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    with simulated(request.param, None, tmp_path) as cloud:
        yield cloud


@pytest.mark.parametrize("servers", [1, 2])
def test_a_preview_of_every_shape_is_accepted_and_touches_nothing(cloud: Cloud, servers: int, tmp_path: Path):
    stack = new_stack(cloud.package, tmp_path / "stack", servers=servers)
    steps = stack.steps()
    assert set(steps.values()) == {"create"}
    assert {f"sim-{number}-release" for number in range(servers)} <= set(steps)
    assert ("sim-balancer" in steps) == (servers == 2)
    assert cloud.leftovers() == []
    assert [call for call in cloud.calls if call[0] != "read"] == []


def test_without_a_change_no_server_is_asked_by_the_stack_nor_by_the_program_it_is_measured_beside(tmp_path: Path):
    with simulated("aws", Paper(), tmp_path) as cloud, recorded() as (commands, provider):
        variables = {slope.DEBUG: f"{os.environ[slope.DEBUG]},{provider}"}
        ours, alike = slope.side_by_side(tmp_path / "pair", 2, variables)
        assert ("create", "sim-1-confirm") in commands.asked
        cloud.calls.clear()
        commands.asked.clear()
        for stack in (ours, alike):
            stack.up("--expect-no-changes")
            stack.pulumi("preview", "--expect-no-changes")
        assert cloud.calls == commands.asked == []
        ours.configure(env={"COLOUR": "red"})
        ours.up()
        asked = [("update", f"sim-{server}-{role}") for server in (0, 1) for role in ("confirm", "release")]
        assert sorted(commands.asked) == asked


def test_a_server_with_another_address_is_reached_there_and_has_no_second_first_contact(tmp_path: Path):
    with simulated("aws", Paper(), tmp_path) as cloud, recorded() as (commands, provider):
        stack = new_stack("aws", tmp_path / "stack", servers=2)
        stack.variables = {slope.DEBUG: f"{os.environ[slope.DEBUG]},{provider}"}
        stack.up()
        first, second = stack.outputs()["servers"]
        by_hand.stop_and_start(cloud, first["instance_id"])
        commands.asked.clear()
        stack.pulumi("refresh", "--yes", "--skip-preview")
        stack.up()
        roles = {name.removeprefix("sim-0-") for _, name in commands.asked}
        assert roles == {"host-program", "configure", "artifact", "prepare", "release", "confirm", "joined"}
        assert set(commands.asked) == {("update", f"sim-0-{role}") for role in roles}
        now, same = stack.outputs()["servers"]
        assert (now["instance_id"], same) == (first["instance_id"], second)
        assert now["address"] != first["address"]
        stack.up("--expect-no-changes")
        stack.configure(size=LARGER["aws"])
        stack.up()
        assert first_contact(stack) == stack.outputs()["servers"][0]["address"] != now["address"]


def first_contact(stack: Stack) -> str:
    """Where it was."""
    return stack.resource("sim-0-ready")["connection"]["host"]
