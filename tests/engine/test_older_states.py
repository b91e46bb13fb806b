"""The code of today takes over stacks that an older commit brought up: see tests/state/README.md."""

from __future__ import annotations

import base64
import json
import os
import pickletools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from components.local.computer import LocalError, require_root_and_tools
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_stack import simulated_cloud
from tests.clouds.test_shapes import create_zone
from tests.stack import ROOT, Stack
from tests.state.kept import HERE, KeptStack, kept_stacks

pytestmark = pytest.mark.engine

Document = dict[str, Any]
Steps = list[Document]
EVERY_STACK = pytest.mark.parametrize("kept", kept_stacks(), ids=lambda kept: kept.label)
# What may be updated: uploads to servers and commands on them.
UPDATES = {"command:remote:Command", "command:remote:CopyToRemote"}
# The servers' role on AWS loses a policy that reads all parameters, and gets a narrower one.
ROLE_CHANGES = {
    "aws:iam/rolePolicy:RolePolicy": "create",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "delete",
}
# Every class that 97a80cf pickled into a state, by module and name.
PICKLED = {
    "components.emptying Emptier",
    "components.keys _Provider",
    "components.leaving Leaver",
    "components.local.resources MachineProvider",
    "components.local.resources NetworkProvider",
    "components.noted Noted",
}
DYNAMIC = "pulumi-python:dynamic/"
# An ssh that writes down its words and reaches no server: nothing waits for requests of such a server.
SSH = """#!/bin/sh
echo "$*" >> FOLDER/ssh.log
exit 255
"""


@pytest.fixture(scope="module", params=kept_stacks(), ids=lambda kept: kept.label)
def previewed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[KeptStack, Steps]:
    """A kept stack, and the steps of its preview."""
    return request.param, preview(request.param, tmp_path_factory.mktemp("kept"))


def test_a_preview_of_an_older_stack_adds_logins_and_updates_uploads_commands_and_the_servers_role_and_nothing_else(
    previewed: tuple[KeptStack, Steps],
):
    kept, steps = previewed
    types = {resource["urn"]: resource["type"] for resource in kept.resources()}
    changes = {step["urn"]: step["op"] for step in steps if step["op"] != "same"}
    machines = [urn.removesuffix("-ready") for urn in types if urn.endswith("-ready")]
    new = {urn for urn in changes if urn.endswith("SshKeyPair::kept-admin")} | {f"{name}-logins" for name in machines}
    assert {changes.pop(urn) for urn in new} == {"create"} and len(new) == len(machines) + 1
    of_role = {urn: type_ for urn in changes if (type_ := urn.split("$")[-1].partition("::")[0]) in ROLE_CHANGES}
    expected = ROLE_CHANGES if kept.settings()["target"] == "aws" else {}
    assert {type_: changes.pop(urn) for urn, type_ in of_role.items()} == expected
    assert {urn: operation for urn, operation in changes.items() if operation != "update"} == {}
    assert {urn for urn in changes if types[urn] not in UPDATES} == set()
    # The first contact is over: it would log in with a host key that the server has replaced.
    assert [urn for urn in changes if urn.endswith("-ready")] == []
    providers = {urn for urn, type_ in types.items() if type_.startswith("pulumi:providers:")}
    # An alias may have given a resource another URN.
    assert set(types) - providers <= {step.get("oldState", step)["urn"] for step in steps}


def preview(kept: KeptStack, folder: Path) -> Steps:
    """The steps that `preview --json` shows for the kept stack; a cloud isn't called."""
    target = kept.settings()["target"]
    if target == "local":
        return steps_of(kept, folder, without_machines(kept, folder))
    with simulated_cloud(target, folder) as cloud:
        create_zone(cloud)
        cloud.calls.clear()
        with mock.patch.object(cloud, "functions", return_value=look_ups(cloud, kept)):
            steps = steps_of(kept, folder, {})
        assert cloud.calls == []
    return steps


def look_ups(cloud: SimulatedCloud, kept: KeptStack) -> Mapping[str, Callable[[Document], Document]]:
    """The cloud's functions, with the zone of the kept stack where that has one on AWS."""
    zones = [resource["inputs"]["zoneId"] for resource in kept.resources() if "route53/record" in resource["type"]]
    if not zones:
        return cloud.functions()
    zone = {"id": zones[0], "zoneId": zones[0], "name": kept.settings()["zone"]}
    return {**cloud.functions(), "aws:route53/getZone:getZone": lambda _arguments: zone}


def steps_of(kept: KeptStack, folder: Path, variables: dict[str, str]) -> Steps:
    stack = Stack("kept", folder, kept.settings(), shell_env=variables)
    state, empty = kept.state(), json.loads(stack.pulumi("stack", "export").stdout)
    # With the secrets provider of the new stack, which encrypts the kept secrets by a passphrase of its own.
    state["deployment"]["secrets_providers"] = empty["deployment"]["secrets_providers"]
    file = folder / "kept.json"
    file.write_text(json.dumps(state))
    stack.pulumi("stack", "import", "--file", str(file))
    return json.loads(stack.pulumi("preview", "--json", "--show-sames").stdout)["steps"]


def without_machines(kept: KeptStack, folder: Path) -> dict[str, str]:
    """Variables with which kept machines count as running; their records are in ``folder``/computer."""
    for name, record in kept.computer().items():
        file = folder / "computer" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record))
    paths = os.pathsep.join([str(HERE / "running"), str(ROOT)])
    return {"GANTRY_STATE_DIR": str(folder / "computer"), "PYTHONPATH": paths}


@EVERY_STACK
def test_every_provider_in_an_older_state_sees_no_change_and_deletes(kept: KeptStack, tmp_path: Path):
    if kept.computer():
        needs_a_computer_for_machines()
    variables = {**without_machines(kept, tmp_path), **without_servers(tmp_path)}
    with members_of_vpcs([]) as (api, _requests), provider_process({**variables, **api}) as provider:
        for resource in dynamic(kept):
            inputs, outputs = properties(resource["inputs"]), properties(resource["outputs"])
            names = {"id": resource["id"], "urn": resource["urn"]}
            answer = provider.Diff(provider_pb2.DiffRequest(**names, olds=outputs, news=inputs))
            assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE, resource["urn"]
            provider.Delete(provider_pb2.DeleteRequest(**names, properties=outputs))
    # What the deletions did: removed what this computer knew of machines, and told servers to leave their balancer.
    records = [file for file in (tmp_path / "computer").rglob("*") if file.is_file()]
    assert records == []
    leaving = [resource for resource in dynamic(kept) if resource["type"].endswith(":Leaving")]
    logins = (tmp_path / "ssh.log").read_text() if leaving else ""
    for resource in leaving:
        host = resource["outputs"]["host"]
        assert f"deploy@{host} sudo touch /run/gantry-leaving\n" in logins


def test_the_deletion_of_an_older_vpc_waits_until_the_vpc_is_empty(tmp_path: Path):
    droplet = {"urn": "do:droplet:1", "name": "kept-0"}
    emptying = [resource for kept in kept_stacks() for resource in dynamic(kept) if "Emptying" in resource["type"]]
    assert emptying
    for resource in emptying:
        with members_of_vpcs([droplet]) as (api, requests), provider_process(api) as provider:
            outputs = properties(resource["outputs"])
            provider.Delete(
                provider_pb2.DeleteRequest(id=resource["id"], urn=resource["urn"], properties=outputs), timeout=30
            )
        assert requests == [f"/v2/vpcs/{resource['id']}/members"] * 2


def test_the_kept_states_hold_every_class_that_97a80cf_pickled():
    resources = [resource for kept in kept_stacks() for resource in dynamic(kept)]
    providers = {str(properties(resource["outputs"])["__provider"]) for resource in resources}
    assert {class_in(base64.b64decode(provider)) for provider in providers} == PICKLED


def class_in(pickled: bytes) -> str:
    """The module and the name of a pickled provider's class; it isn't imported."""
    return " ".join(argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str))


def dynamic(kept: KeptStack) -> list[Document]:
    """The resources whose providers are pickled into the state."""
    resources = [resource for resource in kept.resources() if resource["type"].startswith(DYNAMIC)]
    assert resources
    return resources


def properties(kept: Document) -> Struct:
    """As the engine sends them to a provider that doesn't accept secrets."""
    plain = {key: value for key, value in kept.items() if not isinstance(value, dict)}
    secrets = {key: json.loads(value["plaintext"]) for key, value in kept.items() if isinstance(value, dict)}
    return ParseDict({**plain, **secrets}, Struct())


@contextmanager
def provider_process(variables: dict[str, str]) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """The process in which the engine runs dynamic providers, with only the project on its path."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-u", "-m", "pulumi.dynamic"]
    with subprocess.Popen(command, cwd=ROOT, env={**env, **variables}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                stub.Configure(provider_pb2.ConfigureRequest())
                yield stub
        finally:
            process.terminate()


def needs_a_computer_for_machines() -> None:
    """The real code removes machines and networks, even though there are none: it needs root and its tools."""
    try:
        require_root_and_tools()
    except LocalError as error:
        pytest.skip(str(error))  # the text says what is missing


def without_servers(folder: Path) -> dict[str, str]:
    """Variables with which ssh reaches no server and writes its words to ``folder``/ssh.log."""
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(SSH.replace("FOLDER", str(folder)))
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


@contextmanager
def members_of_vpcs(members: list[Document]) -> Iterator[tuple[dict[str, str], list[str]]]:
    """An API of DigitalOcean whose VPCs have these members in the first answer, and none afterwards.

    Gives the variables that lead to it, and the paths of its requests.
    """
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            remaining = [] if requests else members
            requests.append(self.path.partition("?")[0])
            body = json.dumps({"members": remaining, "links": {}, "meta": {"total": len(remaining)}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield {"DIGITALOCEAN_TOKEN": "simulated", "DIGITALOCEAN_API_URL": url}, requests
        finally:
            server.shutdown()
