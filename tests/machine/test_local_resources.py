"""The local target's resources under the real engine, in a program that has nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.local import bridge, host, launch, machine
from tests.kills import kill_session
from tools.setup import backend

pytestmark = [pytest.mark.machine, pytest.mark.engine]

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".gantry/engine"
SECRET = "planted-in-user-data"
PROGRAM = """\
import pulumi
from components.local import Network, NetworkArgs, Server, ServerArgs

config = pulumi.Config()
network = Network("net", NetworkArgs(cidr=config.get("cidr")))
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


@dataclass
class Program:
    folder: Path

    def write(self) -> None:
        (self.folder / "state").mkdir()
        (self.folder / "Pulumi.yaml").write_text("name: local-test\nruntime: python\n")
        (self.folder / "__main__.py").write_text(PROGRAM)
        self.run("stack", "init", "dev")

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{Path(sys.executable).parent}:{ENGINE}:{host.environment()['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": backend.in_folder(self.folder / "state"),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        return {**os.environ, **own}

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["pulumi", *words, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert not check or done.returncode == 0, f"pulumi {' '.join(words)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def up(self, *, check: bool = True) -> dict[str, str]:
        self.run("up", "--yes", "--skip-preview", check=check)
        return self.outputs()

    def outputs(self) -> dict[str, str]:
        return json.loads(self.run("stack", "output", "--json"))

    def configure(self, key: str, value: str) -> None:
        self.run("config", "set", key, value)

    def steps(self) -> dict[str, str]:
        steps = json.loads(self.run("preview", "--json"))["steps"]
        return {
            step["urn"].split("::")[-1]: step["op"]
            for step in steps
            if step["op"] != "same" and "dynamic" in step["urn"].split("::")[2]
        }

    def state(self) -> str:
        return self.run("stack", "export")

    def networks(self) -> list[str]:
        return [network.id for network in bridge.listed() if network.owner.endswith(f"@{self.folder}")]

    def machines(self) -> list[str]:
        return [spec.id for id in self.networks() for spec in machine.on_network(id)]


@pytest.fixture
def program(tmp_path: Path, assert_nothing_left: Callable[..., contextlib.AbstractContextManager[None]]):
    if not (ENGINE / "pulumi").exists():
        pytest.skip(f"There is no {ENGINE}: make setup")
    program = Program(tmp_path)
    program.write()

    def destroyed() -> Iterator[Program]:
        with assert_nothing_left(lambda: {*program.networks(), *program.machines()}):
            try:
                yield program
                program.run("destroy", "--yes", "--skip-preview")
            finally:
                for id in program.networks():
                    machine.destroy_network(id)

    yield from destroyed()


def test_a_server_is_created_once_and_its_user_data_stays_encrypted(program: Program):
    outputs = program.up()
    assert machine.status(outputs["id"]) == "running"
    assert outputs["host"] == outputs["address"]
    assert program.steps() == {}
    assert program.up() == outputs
    for _ in range(2):
        assert SECRET not in program.state()
        program.run("refresh", "--yes", "--skip-preview")
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
    launch.end(spec.id, spec.folder, spec.veth)
    host.run(["ip", "link", "delete", spec.network])
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
    program.run("refresh", "--yes", "--skip-preview")
    resources = json.loads(program.state())["deployment"]["resources"]
    assert first["id"] not in [resource.get("id") for resource in resources]


def test_destroy_succeeds_when_everything_was_removed_manually(program: Program):
    program.up()
    for id in program.networks():
        machine.destroy_network(id)


def test_several_servers_are_created_at_the_same_time(program: Program):
    program.configure("servers", "4")
    program.up()
    specs = [machine.find(id) for id in program.machines()]
    assert len({spec.address for spec in specs if spec}) == 4


def test_the_error_for_an_address_range_in_use_shows_a_command_that_fixes_it(program: Program):
    program.configure("cidr", "127.0.0.0/24")
    assert "pulumi config set network 10.200.7.0/24" in program.run("up", "--yes", "--skip-preview", check=False)


@pytest.mark.parametrize("moment", ["spec.json", "process"])
def test_the_next_up_removes_the_leftovers_of_a_killed_one(program: Program, moment: str):
    command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"]
    running = subprocess.Popen(
        command, cwd=program.folder, env=program.environment, start_new_session=True, stdout=subprocess.DEVNULL
    )

    def is_there() -> bool:
        return any((machine.folder_of(id) / moment).exists() for id in program.machines())

    try:
        launch.wait_until(is_there, "the machine to be begun", 60)
    finally:
        kill_session(running.pid)
        running.wait()
    [killed] = program.machines()
    program.run("cancel", "--yes")
    made = program.up()["id"]
    assert made != killed
    assert program.machines() == [made]
