"""The real engine and the simulated clouds' providers, as far as no machine is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import slope
from tests.clouds.commands import recorded
from tests.clouds.provider import Cloud
from tests.clouds.site import new_stack, simulated
from tests.clouds.world import Paper

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
