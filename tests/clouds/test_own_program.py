"""A Pulumi program that composes the components with a resource of its own: examples/with-bucket."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_commands import simulated_commands
from tests.clouds.simulated_stack import new_stack, simulated_cloud
from tests.stack import ROOT, Stack
from tools.setup.installation import set_up_policy
from tools.setup.paths import POLICY_PACK

PROGRAM = ROOT / "examples/with-bucket"
ENDPOINTS = {"aws": None, "digitalocean": "https://fra1.digitaloceanspaces.com"}

pytestmark = pytest.mark.engine


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedCloud]:
    with simulated_cloud(request.param, tmp_path) as cloud, simulated_commands(tmp_path):
        yield cloud


def variables_on_server(stack: Stack) -> dict[str, str]:
    return json.loads(stack.resource("sim-0-release")["stdin"])["variables"]


def preview_of_release(stack: Stack) -> dict[str, Any]:
    """The inputs of the release command as a preview shows them."""
    steps = json.loads(stack.pulumi("preview", "--json").stdout)["steps"]
    [step] = [step for step in steps if step["urn"].endswith("::sim-0-release")]
    return step["newState"]["inputs"]


def test_the_app_gets_the_name_and_the_key_of_a_bucket_that_the_program_creates(cloud: SimulatedCloud, tmp_path: Path):
    set_up_policy(os.environ)
    stack = new_stack(cloud.package, tmp_path / "stack", PROGRAM, env={"COLOUR": "red"})
    preview = stack.pulumi("preview", "--policy-pack", str(POLICY_PACK)).stdout
    assert "[mandatory]" not in preview
    # Neither the bucket's name nor its key is known yet.
    assert "S3_BUCKET" not in json.dumps(preview_of_release(stack))

    stack.up()
    bucket = stack.outputs()["bucket"]
    variables = variables_on_server(stack)
    assert bucket.startswith("sim-files-")
    assert variables["S3_BUCKET"] == bucket
    assert variables["COLOUR"] == "red"
    assert variables.get("AWS_ENDPOINT_URL_S3") == ENDPOINTS[cloud.package]
    assert len(variables["AWS_SECRET_ACCESS_KEY"]) > 20
    assert variables["AWS_SECRET_ACCESS_KEY"] not in stack.pulumi("stack", "export").stdout
    assert stack.outputs()["ssh"].startswith("../../bin/ssh --stack sim")
    stack.up("--expect-no-changes")

    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert cloud.leftovers() == []


def test_a_variable_that_settings_and_program_both_have_is_refused_before_a_server_is_created(tmp_path: Path):
    with simulated_cloud("aws", tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", PROGRAM, env={"S3_BUCKET": "mine"})
        output = stack.failing_up().stdout
        assert "S3_BUCKET: the stack's settings have this variable, too" in output
        assert "pulumi config rm --path env.S3_BUCKET" in output
        assert "Traceback" not in output
        # Only the program's own resources come before the check.
        created = {name for operation, name in cloud.calls if operation == "create"}
        assert created <= {"sim-files"}
