from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_command import remote

from components.app.source import Release
from components.rollout.bootstrap import NewServer
from components.rollout.login import Logins
from components.rollout.rollout import Rollout, batches
from components.rollout.steps import RolloutArgs
from components.server.commands import READY, confirm_input
from components.server.host_program import HostProgram
from tests.mocks import Recorder, is_secret, run_program, stdout_of

SECRET = "correct-horse-battery-staple"
SERVERS = list("abcdefghij")


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (1, None, ["a"]),
        (2, None, ["a", "b"]),
        (3, None, ["a", "b", "c"]),
        (4, None, ["a", "bc", "d"]),
        (6, None, ["a", "bc", "de", "f"]),
        (10, None, ["a", "bcde", "fghi", "j"]),
        (10, 1, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]),
        (10, 20, ["a", "bcdefghij"]),
    ],
)
def test_with_a_canary_the_first_server_is_alone_and_the_others_follow_in_batches(
    count: int, size: int | None, expected: list[str]
):
    assert batches(SERVERS[:count], size) == [list(batch) for batch in expected]


@pytest.mark.parametrize(("size", "expected"), [(None, ["abcd"]), (1, ["a", "b", "c", "d"]), (3, ["abc", "d"])])
def test_without_a_canary_the_first_server_is_in_a_batch_and_by_default_all_are_in_one(
    size: int | None, expected: list[str]
):
    assert batches(SERVERS[:4], size, canary=False) == [list(batch) for batch in expected]


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A rollout to the servers a and b."""
    return roll_out(tmp_path, tarball=tmp_path / "app.tar")


def roll_out(folder: Path, *, tarball: Path | None, canary: bool = True) -> Recorder:
    """Run a rollout to the servers a and b; no ``tarball`` stands for a kept release."""
    for name in ("host.pyz", "app.tar"):
        (folder / name).write_text(name)

    def program() -> pulumi.Output[list[str]]:
        servers = [
            NewServer(name=name, instance_id=f"i-{name}", connection=first_connection(name)) for name in ("a", "b")
        ]
        rollout = Rollout("rollout", servers, replace(rollout_args(folder, tarball), canary=canary))
        return pulumi.Output.all(rollout.release, *rollout.host_keys.values())

    recorder = run_program(program, stack="dev")
    assert recorder.output == ["3f2a91c0ffee", "ssh-ed25519 OWN-a-ready", "ssh-ed25519 OWN-b-ready"]
    assert recorder.lookups == []
    return recorder


def first_connection(name: str) -> remote.ConnectionArgs:
    return remote.ConnectionArgs(host=f"{name}.test", user="deploy", private_key="key", host_key=f"ssh-ed25519 {name}")


def rollout_args(folder: Path, tarball: Path | None) -> RolloutArgs:
    return RolloutArgs(
        logins=Logins(admin_key="admin's key", creation="create admin"),
        host_program=HostProgram(file=folder / "host.pyz", path="/uploads/host-1.pyz", copy="/programs/host-1.pyz"),
        configuration='{"files": {}}',
        release=Release(name="3f2a91c0ffee", tarball=tarball),
        release_command="sudo gantry release 3f2a91c0ffee --settings s",
        prepare_command="sudo gantry prepare 3f2a91c0ffee --settings s",
        release_input=pulumi.Output.secret(json.dumps({"variables": {"TOKEN": SECRET}})),
    )


def inputs_of(recorder: Recorder, name: str) -> dict[str, Any]:
    return recorder.custom(name).inputs


def dependencies_of(recorder: Recorder, name: str) -> set[str]:
    return recorder.custom(name).dependency_names


def test_each_server_gets_the_same_steps_and_the_second_waits_for_the_first(recorder: Recorder):
    steps = ["ready", "logins", "host-program", "configure", "artifact", "prepare", "release", "confirm"]
    names = recorder.custom_names()
    assert sorted(names) == sorted(f"{server}-{step}" for server in "ab" for step in steps)
    assert names.index("b-release") > names.index("a-release")


def test_a_release_waits_for_its_own_configuration_and_tarball(recorder: Recorder):
    for server in "ab":
        assert {"a-prepare", "b-prepare"} <= dependencies_of(recorder, "a-release")
        assert {"a-release", "b-release"} <= dependencies_of(recorder, f"{server}-confirm")
        assert {f"{server}-configure", f"{server}-artifact"} <= dependencies_of(recorder, f"{server}-prepare")
        assert f"{server}-host-program" in dependencies_of(recorder, f"{server}-configure")
        assert f"{server}-logins" in dependencies_of(recorder, f"{server}-host-program")
    assert "a-release" in dependencies_of(recorder, "b-release")


def test_the_variables_are_secret_and_the_configuration_is_not(recorder: Recorder):
    assert is_secret(inputs_of(recorder, "a-release")["stdin"])
    assert is_secret(inputs_of(recorder, "a-confirm")["stdin"])
    assert not is_secret(inputs_of(recorder, "a-configure")["stdin"])


def test_each_new_run_of_the_release_command_is_confirmed_again(recorder: Recorder):
    release_input = json.dumps({"variables": {"TOKEN": SECRET}})
    first, same, second = (confirm_input(release_input, f"rolls back at {run}") for run in (1, 1, 2))
    assert first == same != second
    for server in "ab":
        stdin = json.loads(inputs_of(recorder, f"{server}-confirm")["stdin"]["value"])
        assert stdin["variables"] == {"TOKEN": SECRET}
        assert stdin == json.loads(confirm_input(release_input, stdout_of(f"{server}-release")))


def test_the_instance_id_is_the_only_trigger_of_every_step(recorder: Recorder):
    for name in recorder.custom_names():
        assert inputs_of(recorder, name)["triggers"] == [f"i-{name[0]}"], name


def test_every_connection_checks_a_host_key_and_only_the_first_one_the_key_of_the_user_data(recorder: Recorder):
    for name in recorder.custom_names():
        host_key = f"ssh-ed25519 {name[0]}" if name.endswith("-ready") else f"ssh-ed25519 OWN-{name[0]}-ready"
        assert inputs_of(recorder, name)["connection"]["value"]["hostKey"] == host_key, name


def test_a_dead_server_is_given_up_after_a_few_minutes_and_one_that_alternates_its_keys_is_reached(recorder: Recorder):
    # The plugin's pauses grow from 0.1 s by half up to 5 s.
    for name in recorder.custom_names():
        if not name.endswith("-ready"):
            connection = inputs_of(recorder, name)["connection"]["value"]
            pauses = sum(min(0.1 * 1.5**attempt, 5) for attempt in range(int(connection["dialErrorLimit"])))
            assert 70 < pauses < 90, name
            assert pauses + connection["dialErrorLimit"] * connection["perDialTimeout"] < 210, name


def test_only_the_steps_that_could_change_any_file_log_in_as_admin(recorder: Recorder):
    for name in recorder.custom_names():
        connection = inputs_of(recorder, name)["connection"]["value"]
        login = ("admin", "admin's key") if name[2:] in ("host-program", "configure") else ("deploy", "key")
        assert (connection["user"], connection["privateKey"]) == login, name
    logins = inputs_of(recorder, "a-logins")
    assert (logins["create"], logins["stdin"]) == ("sh # creates the login admin", "create admin")


def test_no_step_has_a_command_of_its_own_for_updates_or_for_destroy(recorder: Recorder):
    for name in recorder.custom_names():
        assert not {"update", "delete"} & set(inputs_of(recorder, name)), name


def test_no_command_contains_a_secret_or_gets_its_previous_output(recorder: Recorder):
    for name in recorder.custom_names():
        inputs = inputs_of(recorder, name)
        assert SECRET not in inputs.get("create", ""), name
        if "create" in inputs:
            assert inputs["addPreviousOutputInEnv"] is False, name


def test_only_the_first_server_runs_the_release_phase_and_cron(recorder: Recorder):
    command = "sudo gantry release 3f2a91c0ffee --settings s"
    for role, probation in (("release", " --probation 300"), ("confirm", "")):
        assert inputs_of(recorder, f"a-{role}")["create"] == f"{command} --first --migrated{probation}"
        assert inputs_of(recorder, f"b-{role}")["create"] == f"{command}{probation}"
    prepare_first, prepare = inputs_of(recorder, "a-prepare"), inputs_of(recorder, "b-prepare")
    assert prepare_first["create"] == "sudo gantry prepare 3f2a91c0ffee --settings s --first"
    assert prepare["create"] == "sudo gantry prepare 3f2a91c0ffee --settings s"
    # A build on each server needs the app's variables.
    assert is_secret(prepare_first["stdin"])
    assert is_secret(prepare["stdin"])


def test_without_a_canary_all_servers_switch_at_once_after_all_are_prepared(tmp_path: Path):
    recorder = roll_out(tmp_path, tarball=tmp_path / "app.tar", canary=False)
    for server in "ab":
        assert {"a-prepare", "b-prepare"} <= dependencies_of(recorder, f"{server}-release")
    assert "a-release" not in dependencies_of(recorder, "b-release")
    assert inputs_of(recorder, "b-release")["create"].endswith(" --probation 150")
    assert {"a-release", "b-release"} <= dependencies_of(recorder, "a-confirm")


def test_a_failed_release_rolls_all_servers_back_and_a_failed_confirmation_none(recorder: Recorder):
    with_hook = {resource.name for resource in recorder.registrations if resource.request.hooks.on_error}
    assert with_hook == {"a-release", "b-release"}


def test_the_first_command_on_a_server_never_changes(recorder: Recorder):
    assert inputs_of(recorder, "a-ready")["create"] == READY == "sudo /usr/local/lib/gantry/ready"


def test_the_tarballs_path_contains_the_name_of_its_release(recorder: Recorder):
    assert inputs_of(recorder, "a-artifact")["remotePath"] == "/opt/gantry/incoming/3f2a91c0ffee.tar"


def test_a_release_that_the_servers_keep_is_activated_without_an_upload(tmp_path: Path):
    recorder = roll_out(tmp_path, tarball=None)
    steps = ["ready", "logins", "host-program", "configure", "prepare", "release", "confirm"]
    assert sorted(recorder.custom_names()) == sorted(f"{server}-{step}" for server in "ab" for step in steps)
