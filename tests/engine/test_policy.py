"""The policy pack as Pulumi runs it: started by the engine, and called over its own protocol."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from gantry_policy.pack import RULES
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from tests.stack import ROOT, Stack
from tools.setup import backend
from tools.setup.installation import set_up_policy
from tools.setup.paths import POLICY_PACK

pytestmark = pytest.mark.engine

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
CARELESS = """
from pulumi_command import remote

connection = remote.ConnectionArgs(host="127.0.0.1", user="deploy", private_key="key")
remote.Command("careless", connection=connection, create="backup --password hunter2hunter2")
"""


@pytest.fixture(scope="module", autouse=True)
def virtual_environment_of_the_pack() -> None:
    set_up_policy(os.environ)


@pytest.fixture(scope="module")
def pack() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    with subprocess.Popen([str(POLICY_PACK)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
        process.terminate()


def struct(properties: dict[str, Any]) -> Struct:
    return ParseDict(properties, Struct())


def violations(response: analyzer_pb2.AnalyzeResponse) -> set[tuple[str, str, bool]]:
    """For each violation its rule, the URN of its resource, and whether it stops the update."""
    return {
        (diagnostic.policyName, diagnostic.urn, diagnostic.enforcementLevel == analyzer_pb2.MANDATORY)
        for diagnostic in response.diagnostics
    }


def test_the_dev_stack_violates_no_rule(tmp_path: Path):
    stack = Stack("policy", tmp_path, {"app": "examples/rocket", "servers": 2})
    preview = stack.pulumi("preview", "--policy-pack", str(POLICY_PACK)).stdout
    assert "gantry@v" in preview
    assert "[mandatory]" not in preview


def test_the_engine_stops_a_program_that_violates_rules_and_names_each_rule(tmp_path: Path):
    (tmp_path / "Pulumi.yaml").write_text("name: careless\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(CARELESS)
    env = {**os.environ, "PULUMI_BACKEND_URL": backend.in_folder(tmp_path), "PULUMI_CONFIG_PASSPHRASE": "test"}
    pulumi = [str(ROOT / "bin/pulumi"), "--cwd", str(tmp_path), "--non-interactive"]
    subprocess.run([*pulumi, "stack", "init", "one"], env=env, check=True, capture_output=True)
    command = [*pulumi, "preview", "--stack", "one", "--policy-pack", str(POLICY_PACK)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    for rule in ("hosts-are-checked", "commands-hold-no-secret", "nothing-goes-through-the-environment"):
        assert f"[mandatory]  remote-{rule}  (command:remote:Command: careless)" in result.stdout
    assert "destroy-needs-no-server" not in result.stdout


def test_the_pack_lists_every_rule_with_its_description_and_enforces_it(pack: analyzer_pb2_grpc.AnalyzerStub):
    info = pack.GetAnalyzerInfo(Empty())
    assert {policy.name: policy.description for policy in info.policies} == {
        rule.name: rule.description for rule in RULES
    }
    assert {policy.enforcementLevel for policy in info.policies} == {analyzer_pb2.MANDATORY}


def test_unknown_values_of_a_preview_are_skipped_quietly_and_known_ones_are_checked(
    pack: analyzer_pb2_grpc.AnalyzerStub,
):
    command = {"connection": UNKNOWN, "create": UNKNOWN, "delete": "rm -r /srv", "addPreviousOutputInEnv": False}
    response = pack.Analyze(
        analyzer_pb2.AnalyzeRequest(type="command:remote:Command", name="it", properties=struct(command))
    )
    assert violations(response) == {("remote-destroy-needs-no-server", "", True)}
    skipped = {policy.policy_name for policy in response.not_applicable}
    assert skipped == {"remote-hosts-are-checked", "remote-logins-are-by-key", "remote-commands-hold-no-secret"}


def test_a_host_key_that_a_preview_does_not_know_yet_counts_as_set(pack: analyzer_pb2_grpc.AnalyzerStub):
    connection = {"host": UNKNOWN, "user": "deploy", "privateKey": UNKNOWN, "hostKey": UNKNOWN}
    command = {"connection": connection, "create": "true", "addPreviousOutputInEnv": False}
    response = pack.Analyze(
        analyzer_pb2.AnalyzeRequest(type="command:remote:Command", name="it", properties=struct(command))
    )
    assert (violations(response), list(response.not_applicable)) == (set(), [])


def test_a_rule_over_a_stack_follows_links_before_ids_are_known(pack: analyzer_pb2_grpc.AnalyzerStub):
    firewall = resource(
        "digitalocean:index/firewall:Firewall",
        "servers",
        {"tags": [UNKNOWN], "inboundRules": [{"protocol": "tcp", "portRange": "22", "sourceAddresses": ["::1/128"]}]},
        tags="tag",
    )
    tag = resource("digitalocean:index/tag:Tag", "tag", {"name": UNKNOWN})
    behind = resource("digitalocean:index/droplet:Droplet", "behind", {"tags": [UNKNOWN]}, tags="tag")
    beside = resource("digitalocean:index/droplet:Droplet", "beside", {"tags": [UNKNOWN]})
    request = analyzer_pb2.AnalyzeStackRequest(resources=[firewall, tag, behind, beside])
    response = pack.AnalyzeStack(request)
    assert violations(response) == {("digitalocean-droplets-are-behind-a-firewall", "urn:beside", True)}


def resource(kind: str, name: str, properties: dict[str, Any], **links: str) -> analyzer_pb2.AnalyzerResource:
    dependencies = {key: analyzer_pb2.AnalyzerPropertyDependencies(urns=[f"urn:{used}"]) for key, used in links.items()}
    return analyzer_pb2.AnalyzerResource(
        type=kind, name=name, urn=f"urn:{name}", properties=struct(properties), propertyDependencies=dependencies
    )
