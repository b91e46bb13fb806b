"""The real engine and the simulated clouds' providers, as far as no machine is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds.provider import Cloud
from tests.clouds.site import new_stack, simulated

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
