"""The local target's resources with the real engine, in a small program of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.local import bridge, computer, launch, machine
from tests.kills import kill_session
from tests.machine.leftovers import no_leftovers
from tests.stack import ROOT, output
from tools.setup import backend

pytestmark = [pytest.mark.machine, pytest.mark.engine]

ENGINE = ROOT / ".gantry/engine"
SECRET = "planted-in-user-data"
PROGRAM = """\
import pulumi
from components.local.settings import LocalSettings
from components.local.target import Network, Server
from components.target import NetworkArgs, ServerArgs

config = pulumi.Config()
network = Network("net", NetworkArgs(settings=LocalSettings(network=config.get("cidr")), public_key="public"))
for number in range(config.get_int("servers") or 1):
    server = Server(f"web-{number}", ServerArgs(
        network=network,
        user_data=f"#cloud-config\\n# {config.get('edition')} SECRET\\n",
        user="deploy",
        private_key=pulumi.Output.secret("private"),
        host_key="public",
    ))
pulumi.export("id", server.instance_id)
pulumi.export("address", server.address)
pulumi.export("host", server.connection.host)
""".replace("SECRET", SECRET)
UP = ("up", "--yes", "--skip-preview")


@dataclass
class Program:
    """A Pulumi project with one stack; ``folder`` has its files and its state."""

    folder: Path

    def write(self) -> None:
        (self.folder / "state").mkdir()
        (self.folder / "Pulumi.yaml").write_text("name: local-test\nruntime: python\n")
        (self.folder / "__main__.py").write_text(PROGRAM)
        self.run("stack", "init", "dev")

    def env(self) -> dict[str, str]:
        pulumi_env = {
            "PATH": f"{Path(sys.executable).parent}:{ENGINE}:{computer.command_env()['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": backend.in_folder(self.folder / "state"),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        return {**os.environ, **pulumi_env}

    def run(self, *words: str, check: bool = True) -> str:
        """Run Pulumi; returns all that it printed."""
        command = ["pulumi", *words, "--non-interactive"]
        result = subprocess.run(command, cwd=self.folder, env=self.env(), capture_output=True, text=True, timeout=200)
        assert not check or result.returncode == 0, f"pulumi {' '.join(words)}:\n{output(result)}"
        return output(result)

    def up(self) -> dict[str, str]:
        """Run `up`; returns the stack's outputs."""
        self.run(*UP)
        return json.loads(self.run("stack", "output", "--json"))

    def configure(self, key: str, value: str) -> None:
        self.run("config", "set", key, value)

    def refresh(self) -> None:
        self.run("refresh", "--yes", "--skip-preview")

    def steps(self) -> dict[str, str]:
        """The operation by name of each network or machine that a preview would change."""
        steps = json.loads(self.run("preview", "--json"))["steps"]
        return {
            step["urn"].split("::")[-1]: step["op"]
            for step in steps
            if step["op"] != "same" and "dynamic" in step["urn"].split("::")[2]
        }

    def state(self) -> str:
        return self.run("stack", "export")

    def networks(self) -> list[str]:
        return [network.id for network in bridge.networks() if network.owner.endswith(f"@{self.folder}")]

    def machines(self) -> list[str]:
        return [spec.id for network in self.networks() for spec in machine.on_network(network)]

    def destroy_networks(self) -> None:
        """Destroy the networks with their machines, without Pulumi."""
        for network in self.networks():
            machine.destroy_network(network)


@pytest.fixture
def program(tmp_path: Path, base_image: str) -> Iterator[Program]:
    if not (ENGINE / "pulumi").exists():
        pytest.skip(f"There is no {ENGINE}: make setup")
    program = Program(tmp_path)
    with no_leftovers(lambda: {*program.networks(), *program.machines()}):
        program.write()
        try:
            yield program
            program.run("destroy", "--yes", "--skip-preview")
        finally:
            program.destroy_networks()


def test_a_server_is_created_once_and_its_user_data_stays_encrypted(program: Program):
    outputs = program.up()
    assert machine.status(outputs["id"]) == "running"
    assert outputs["host"] == outputs["address"]
    assert program.steps() == {}
    assert program.up() == outputs
    for _ in range(2):
        assert SECRET not in program.state()
        program.refresh()
    assert program.steps() == {}


def test_a_stopped_machine_shows_in_the_preview_and_is_booted_by_the_next_up(program: Program):
    outputs = program.up()
    machine.stop(outputs["id"])
    assert program.steps() == {"web-0": "update"}
    assert "running again (found stopped)" in program.run("preview", "--diff")
    assert program.up() == outputs
    assert machine.status(outputs["id"]) == "running"
    assert program.steps() == {}


def test_up_boots_everything_again_after_a_restart_of_this_computer(program: Program):
    outputs = program.up()
    spec = machine.find(outputs["id"])
    assert spec
    launch.kill(spec.id, spec.folder, spec.veth)
    computer.run(["ip", "link", "delete", spec.network])
    assert program.steps() == {"net": "update", "web-0": "update"}
    assert program.up() == outputs
    assert machine.status(spec.id) == "running"


def test_changed_user_data_creates_a_new_machine_before_the_old_one_is_deleted(program: Program):
    program.configure("edition", "1")
    first = program.up()
    program.configure("edition", "2")
    assert program.steps() == {"web-0": "replace"}
    second = program.up()
    assert second["id"] != first["id"] and second["address"] != first["address"]
    assert (machine.status(first["id"]), machine.status(second["id"])) == ("gone", "running")


def test_up_recreates_a_missing_machine(program: Program):
    first = program.up()
    machine.destroy(first["id"])
    assert program.steps() == {"web-0": "replace"}
    assert machine.status(program.up()["id"]) == "running"


def test_a_refresh_removes_a_missing_machine_from_the_state(program: Program):
    first = program.up()
    machine.destroy(first["id"])
    program.refresh()
    resources = json.loads(program.state())["deployment"]["resources"]
    assert first["id"] not in [resource.get("id") for resource in resources]


def test_destroy_succeeds_when_everything_was_removed_manually(program: Program):
    program.up()
    program.destroy_networks()


def test_several_servers_are_created_at_the_same_time(program: Program):
    program.configure("servers", "4")
    program.up()
    specs = [machine.find(id) for id in program.machines()]
    assert len({spec.address for spec in specs if spec}) == 4


def test_the_error_for_an_address_range_in_use_shows_a_command_that_fixes_it(program: Program):
    program.configure("cidr", "127.0.0.0/24")
    assert "pulumi config set network 10.200.7.0/24" in program.run(*UP, check=False)


@pytest.mark.parametrize("moment", ["spec.json", "process"])
def test_the_next_up_removes_the_leftovers_of_a_killed_one(program: Program, moment: str):
    command = ["pulumi", *UP, "--non-interactive"]
    up = subprocess.Popen(
        command, cwd=program.folder, env=program.env(), start_new_session=True, stdout=subprocess.DEVNULL
    )

    def moment_has_come() -> bool:
        return any((machine.folder_of(id) / moment).exists() for id in program.machines())

    try:
        launch.wait_until(moment_has_come, f"the create to write {moment}", 60)
    finally:
        kill_session(up.pid)
        up.wait()
    [killed] = program.machines()
    program.run("cancel", "--yes")
    created = program.up()["id"]
    assert created != killed
    assert program.machines() == [created]
