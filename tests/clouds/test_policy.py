"""The policy pack, run by the real engine on the preview of a stack in a cloud."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clouds.simulated_stack import new_stack, simulated_cloud
from tools.setup.installation import set_up_policy
from tools.setup.paths import POLICY_PACK

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("target", ["aws", "digitalocean"])
@pytest.mark.parametrize("servers", [1, 2])
def test_the_preview_of_a_stack_keeps_every_promise_with_and_without_a_balancer(
    target: str, servers: int, tmp_path: Path
):
    set_up_policy(os.environ)
    with simulated_cloud(target, tmp_path):
        storage = {"storage": 20} if servers == 1 else {}
        stack = new_stack(target, tmp_path / "stack", servers=servers, **storage)
        output = stack.pulumi("preview", "--policy-pack", str(POLICY_PACK)).stdout
    assert "✅ gantry@v" in output
    assert "[mandatory]" not in output
    assert "[advisory]" not in output, "a rule over the whole stack read a value that a preview can't know"
