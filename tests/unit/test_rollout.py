from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi_command import remote

from components.app.source import Release
from components.rollout.bootstrap import NewServer
from components.rollout.rollout import Rollout
from components.rollout.steps import RolloutArgs
from components.server.commands import READY, confirm_input
from components.server.host_program import HostProgram
from tests.mocks import secret

SECRET = "correct-horse-battery-staple"


@dataclass
class Recorder(Mocks):
    """Writes every registration down, in its order."""

    registered: list[MockResourceArgs] = field(default_factory=list[MockResourceArgs])
    edges: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    hooked: set[str] = field(default_factory=set[str])

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.registered.append(args)
        outputs = dict(args.inputs)
        if args.name.endswith("-ready"):
            outputs["stdout"] = f"ssh-ed25519 OWN-{args.name}\n"
        if args.name.endswith("-release"):
            outputs["stdout"] = f"{args.name} rolls back by itself at 1\n"
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"nothing is looked up, but {args.token} was")

    def waits_for(self, name: str) -> set[str]:
        """The resources that the engine will have finished before it begins with this one."""
        return self.edges[name]

    def is_secret(self, name: str, key: str) -> bool:
        return secret(self.inputs(name)[key])

    def inputs(self, name: str) -> dict[str, Any]:
        return next(args.inputs for args in self.registered if args.name == name)

    def names(self) -> list[str]:
        return [args.name for args in self.registered if args.custom]


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Everything that a rollout to two servers registers."""
    return rolled_out(tmp_path, monkeypatch, tmp_path / "app.tar")


def rolled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tarball: Path | None, canary: bool = True) -> Recorder:
    recorder = Recorder()
    register = MockMonitor.RegisterResource

    def with_edges(monitor: MockMonitor, request: Any) -> Any:
        recorder.edges[request.name] = {urn.rpartition("::")[2] for urn in request.dependencies}
        if request.hooks.on_error:
            recorder.hooked.add(request.name)
        return register(monitor, request)

    monkeypatch.setattr(MockMonitor, "RegisterResource", with_edges)
    for name in ("host.pyz", "app.tar"):
        (tmp_path / name).write_text(name)
    pulumi.runtime.set_mocks(recorder, project="gantry", stack="dev", preview=False)

    @pulumi.runtime.test
    def roll_out() -> pulumi.Output[Any]:
        servers = [
            NewServer(name=name, instance_id=f"i-{name}", connection=first_connection(name)) for name in ("a", "b")
        ]
        rollout = Rollout("rollout", servers, replace(arguments(tmp_path, tarball), canary=canary))
        return pulumi.Output.all(rollout.release, *rollout.host_keys.values()).apply(check)

    def check(found: list[str]) -> None:
        assert found == ["3f2a91c0ffee", "ssh-ed25519 OWN-a-ready", "ssh-ed25519 OWN-b-ready"]

    roll_out()
    return recorder


def first_connection(name: str) -> remote.ConnectionArgs:
    return remote.ConnectionArgs(host=f"{name}.test", user="deploy", private_key="key", host_key=f"ssh-ed25519 {name}")


def arguments(folder: Path, tarball: Path | None) -> RolloutArgs:
    return RolloutArgs(
        host_program=HostProgram(file=folder / "host.pyz", path="/opt/gantry/incoming/host-1.pyz"),
        configuration='{"files": {}}',
        release=Release(name="3f2a91c0ffee", tarball=tarball),
        release_command="sudo gantry release 3f2a91c0ffee --settings s",
        prepare_first_command="sudo gantry prepare 3f2a91c0ffee --settings s --first",
        release_input=pulumi.Output.secret(json.dumps({"variables": {"TOKEN": SECRET}})),
    )


def test_each_server_gets_the_same_steps_and_the_second_waits_for_the_first(recorder: Recorder):
    steps = ["ready", "host-program", "configure", "artifact", "prepare", "release", "confirm"]
    names = recorder.names()
    assert sorted(names) == sorted(f"{server}-{step}" for server in "ab" for step in steps)
    assert names.index("b-release") > names.index("a-release")


def test_a_release_waits_for_its_own_configuration_and_tarball(recorder: Recorder):
    for server in "ab":
        assert {"a-prepare", "b-prepare"} <= recorder.waits_for("a-release")
        assert {"a-release", "b-release"} <= recorder.waits_for(f"{server}-confirm")
        waits = recorder.waits_for(f"{server}-prepare")
        assert {f"{server}-configure", f"{server}-artifact"} <= waits
        assert f"{server}-host-program" in recorder.waits_for(f"{server}-configure")
    assert "a-release" in recorder.waits_for("b-release")


def test_the_variables_are_a_secret_and_the_configuration_is_not(recorder: Recorder):
    assert recorder.is_secret("a-release", "stdin")
    assert recorder.is_secret("a-confirm", "stdin")
    assert not recorder.is_secret("a-configure", "stdin")


def test_another_run_of_a_release_is_to_be_confirmed_again(recorder: Recorder):
    release_input = json.dumps({"variables": {"TOKEN": SECRET}})
    first, same, second = (confirm_input(release_input, f"rolls back at {run}") for run in (1, 1, 2))
    assert first == same != second
    for name in ("a-confirm", "b-confirm"):
        given = json.loads(recorder.inputs(name)["stdin"]["value"])
        assert given["variables"] == {"TOKEN": SECRET}
        assert given == json.loads(confirm_input(release_input, f"{name[0]}-release rolls back by itself at 1\n"))


def test_the_instance_id_is_the_only_trigger_of_every_step(recorder: Recorder):
    for name in recorder.names():
        assert recorder.inputs(name)["triggers"] == [f"i-{name[0]}"], name


def test_every_connection_checks_a_host_key_and_only_the_first_that_of_the_user_data(recorder: Recorder):
    for name in recorder.names():
        expected = f"ssh-ed25519 {name[0]}" if name.endswith("-ready") else f"ssh-ed25519 OWN-{name[0]}-ready"
        assert recorder.inputs(name)["connection"]["value"]["hostKey"] == expected, name


def test_no_step_has_another_text_for_an_update_or_anything_to_run_at_destroy(recorder: Recorder):
    for name in recorder.names():
        assert not {"update", "delete"} & set(recorder.inputs(name)), name


def test_no_command_text_holds_a_secret_and_none_gets_its_previous_output(recorder: Recorder):
    for name in recorder.names():
        inputs = recorder.inputs(name)
        assert SECRET not in inputs.get("create", ""), name
        if "create" in inputs:
            assert inputs["addPreviousOutputInEnv"] is False, name


def test_only_the_first_server_is_told_to_run_the_release_phase_and_cron(recorder: Recorder):
    command = "sudo gantry release 3f2a91c0ffee --settings s"
    for role, probation in (("release", " --probation 480"), ("confirm", "")):
        assert recorder.inputs(f"a-{role}")["create"] == f"{command} --first --migrated{probation}"
        assert recorder.inputs(f"b-{role}")["create"] == f"{command}{probation}"
    assert recorder.inputs("a-prepare")["create"] == "sudo gantry prepare 3f2a91c0ffee --settings s --first"
    assert recorder.is_secret("a-prepare", "stdin")
    assert recorder.inputs("b-prepare")["create"] == "sudo gantry prepare 3f2a91c0ffee"
    assert "stdin" not in recorder.inputs("b-prepare")


def test_without_a_canary_all_switch_at_once_when_all_are_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recorder = rolled_out(tmp_path, monkeypatch, tmp_path / "app.tar", canary=False)
    for server in "ab":
        assert {"a-prepare", "b-prepare"} <= recorder.waits_for(f"{server}-release")
    assert "a-release" not in recorder.waits_for("b-release")
    assert recorder.inputs("b-release")["create"].endswith(" --probation 240")
    assert {"a-release", "b-release"} <= recorder.waits_for("a-confirm")


def test_a_failure_on_probation_sends_all_back_and_one_of_a_confirmation_nobody(recorder: Recorder):
    assert recorder.hooked == {"a-release", "b-release"}


def test_the_first_contact_has_a_text_that_never_changes(recorder: Recorder):
    assert recorder.inputs("a-ready")["create"] == READY == "sudo /usr/local/lib/gantry/ready"


def test_the_tarball_goes_to_a_path_named_by_its_release(recorder: Recorder):
    assert recorder.inputs("a-artifact")["remotePath"] == "/opt/gantry/incoming/3f2a91c0ffee.tar"


def test_a_release_that_the_servers_keep_is_activated_without_an_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recorder = rolled_out(tmp_path, monkeypatch, None)
    steps = ["ready", "host-program", "configure", "prepare", "release", "confirm"]
    assert sorted(recorder.names()) == sorted(f"{server}-{step}" for server in "ab" for step in steps)
