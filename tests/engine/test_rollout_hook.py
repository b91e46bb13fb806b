"""An address moves only after its rollout hook: the real engine, and an ssh program that records its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack import ROOT
from tools.setup import backend

pytestmark = pytest.mark.engine

ENGINE = ROOT / ".gantry/engine"
PROGRAM = """
from pathlib import Path
from types import SimpleNamespace
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from pulumi_command import remote
from components.app.source import Release
from components.aws.rollout_hook import RolloutHook
from components.rollout.login import Logins
from components.rollout.steps import RolloutArgs
from components.server.host_program import HostProgram

class Provider(ResourceProvider):
    def create(self, props):
        with open("events", "a") as events:
            events.write("the address moves\\n")
        return CreateResult("moved", props)

folder = Path.cwd()
args = RolloutArgs(
    logins=Logins(admin_key="admin's key", creation="create admin"),
    host_program=HostProgram(file=folder / "host.pyz", path="/host.pyz", copy="/copy.pyz"),
    configuration="{}",
    release=Release(name="3f2a91c0ffee", tarball=None),
    release_command="sudo gantry release",
    prepare_command="",
    release_input=pulumi.Output.secret("SECRET"),
)
connection = remote.ConnectionArgs(host="198.51.100.7", user="deploy", private_key="key", host_key="FIRST")
server = SimpleNamespace(instance_id=pulumi.Config().require("server"), connection=connection)
hook = RolloutHook("site", server, args)
opts = pulumi.ResourceOptions(replace_on_changes=["instance"])
class Address(Resource, name="Address"):
    pass

Address(Provider(), "address", {"instance": hook.instance_id}, opts)
"""
SSH = """#!/bin/sh
for word; do last=$word; done
echo "$last" >> FOLDER/events
cat >> FOLDER/stdin
case $last in
*"gantry release"*) test -e FOLDER/bad && { echo "the app doesn't start" >&2; exit 1; };;
*ready) echo "ssh-ed25519 OWN";;
esac
exit 0
"""


@dataclass
class Program:
    """A Pulumi program in a folder of its own, with a stack."""

    folder: Path

    def up(self, server: str, *, check: bool = True) -> list[str]:
        """Run up. Returns the commands on the server and the moves of the address, in their order."""
        (self.folder / "events").write_text("")
        self.run("config", "set", "server", server)
        self.output = self.run("up", "--yes", "--skip-preview", check=check)
        return (self.folder / "events").read_text().splitlines()

    def run(self, *words: str, check: bool = True) -> str:
        path = f"{self.folder}/bin:{Path(sys.executable).parent}:{ENGINE}:{os.environ['PATH']}"
        variables = {
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": backend.in_folder(self.folder / "state"),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        result = subprocess.run(
            ["pulumi", *words, "--non-interactive"],
            cwd=self.folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )
        output = result.stdout + result.stderr
        assert not check or result.returncode == 0, f"pulumi {' '.join(words)}:\n{output}"
        return output


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    for folder in ("bin", "state"):
        (tmp_path / folder).mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: handover\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "host.pyz").write_text("program")
    ssh = tmp_path / "bin/ssh"
    ssh.write_text(SSH.replace("FOLDER", str(tmp_path)))
    ssh.chmod(0o755)
    program = Program(tmp_path)
    program.run("stack", "init", "dev")
    yield program
    program.run("destroy", "--yes", "--skip-preview")


def test_the_address_moves_after_the_release_to_each_new_server_and_then_stays(program: Program):
    for server in ("i-1", "i-2"):
        events = program.up(server)
        assert [event for event in events if "release" in event or "address" in event] == [
            "sudo gantry release --first",
            "the address moves",
        ]
    assert program.up("i-2") == []


def test_a_release_that_fails_fails_the_update_and_the_address_stays(program: Program):
    program.up("i-1")
    (program.folder / "bad").touch()
    events = program.up("i-2", check=False)
    assert "the address moves" not in events
    assert "the app doesn't start" in program.output and "the address stays where it is" in program.output
    assert "SECRET" not in program.output
    (program.folder / "bad").unlink()
    assert program.up("i-2")[-1] == "the address moves"


def test_a_lost_association_is_created_again_without_a_command_on_the_server(program: Program):
    program.up("i-1")
    urn = next(word for word in program.run("stack", "--show-urns").split() if word.endswith("::address"))
    program.run("state", "delete", urn, "--yes")
    assert program.up("i-1") == ["the address moves"]


def test_a_preview_touches_no_server(program: Program):
    program.run("config", "set", "server", "i-1")
    program.run("preview")
    assert not (program.folder / "events").exists()
