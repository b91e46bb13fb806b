"""The policy pack, run by the real engine over what a stack is about to make in a cloud."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clouds.simulated_stack import new_stack, simulated
from tools.setup.environment import set_up_policy
from tools.setup.paths import POLICY_PACK

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("target", ["aws", "digitalocean"])
@pytest.mark.parametrize("servers", [1, 2])
def test_the_preview_of_every_shape_keeps_every_promise(target: str, servers: int, tmp_path: Path):
    set_up_policy(os.environ)
    with simulated(target, None, tmp_path):
        stack = new_stack(target, tmp_path / "stack", servers=servers)
        shown = stack.pulumi("preview", "--policy-pack", str(POLICY_PACK)).stdout
    assert "✅ gantry@v" in shown
    assert "[mandatory]" not in shown
    assert "[advisory]" not in shown, "a rule over the stack read what a preview can't know"
