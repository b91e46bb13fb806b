"""Stacks that are created, killed and destroyed, and what they leave on the user's computer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.local import bridge, machine
from tests.kills import kill_machine, kill_up_at_output
from tests.machine.leftovers import no_leftovers
from tests.stack import Stack, get, output

pytestmark = pytest.mark.machine


@pytest.fixture
def new_stack(tmp_path: Path, base_image: str) -> Iterator[Callable[[str], Stack]]:
    """Creates stacks of the example app. After the test they are destroyed and must have left nothing behind."""
    stacks: list[Stack] = []
    ids: set[str] = set()

    def new_stack(name: str) -> Stack:
        folder = tmp_path / name
        folder.mkdir()
        stacks.append(Stack(name, folder, {"app": "examples/rocket", "healthPath": "/healthz"}))
        return stacks[-1]

    def ids_so_far() -> set[str]:
        machines = {spec.id for id in machine.ids() if (spec := machine.find(id)) and is_owned(spec.owner, stacks)}
        networks = {network.id for network in bridge.networks() if is_owned(network.owner, stacks)}
        ids.update(machines, networks)
        return ids

    with no_leftovers(ids_so_far):
        try:
            yield new_stack
        finally:
            ids_so_far()
            for stack in stacks:
                stack.destroy()


def is_owned(owner: str, stacks: list[Stack]) -> bool:
    return any(f"/{stack.name}" in owner for stack in stacks)


def test_up_restores_a_killed_stack_and_destroy_leaves_nothing_behind(new_stack: Callable[[str], Stack]):
    stack = new_stack("killed")
    stack.up()
    before = stack.outputs()
    kill_machine(before["servers"][0]["instance_id"])
    assert stack.steps() == {"killed-0": "update"}
    stack.up()
    assert stack.outputs() == before
    assert get(before["url"]).text == "Hello World!\n"
    kill_machine(before["servers"][0]["instance_id"])  # the fixture destroys the stack with this dead machine


def test_destroying_one_of_two_stacks_does_not_affect_the_other(new_stack: Callable[[str], Stack]):
    left, right = new_stack("left"), new_stack("right")
    left.up()
    right.up()
    left_url, right_url = left.outputs()["url"], right.outputs()["url"]
    assert left_url != right_url
    left.destroy()
    assert get(right_url).text == "Hello World!\n"


def test_recover_and_the_next_up_repair_a_killed_up(new_stack: Callable[[str], Stack]):
    stack = new_stack("interrupted")
    kill_up_at_output(stack, "-ready creating")
    # The state may or may not contain the created machine: that depends on the moment of the kill.
    assert "the state matches the cloud" in stack.recover()
    stack.up()
    assert get(stack.outputs()["url"]).text == "Hello World!\n"


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        ({"app": "nowhere", "domain": "www.x.test"}, ["app is 'nowhere'", "domain is 'www.x.test'"]),
        ({"network": "127.0.0.0/24"}, ["network"]),
    ],
)
def test_invalid_settings_are_refused_before_anything_is_created(
    new_stack: Callable[[str], Stack], settings: dict[str, object], messages: list[str]
):
    stack = new_stack("refused")
    stack.configure(**settings)
    error = output(stack.failing_up())
    for message in messages:
        assert message in error
    assert "Traceback" not in error


def test_cloud_init_accepts_the_user_data(new_stack: Callable[[str], Stack]):
    stack = new_stack("schema")
    stack.up()
    assert "Valid schema" in stack.ssh("sudo cloud-init schema --system").stdout
    assert stack.ssh("cloud-init status").stdout.strip() == "status: done"
    assert stack.ssh("systemctl is-system-running").stdout.strip() == "running"
