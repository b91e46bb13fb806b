"""Stacks that come, suffer, and go: what a user's computer looks like afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from components.local import bridge, machine
from tests.kills import kill_machine, kill_up_once_it_says
from tests.stack import Stack, get

pytestmark = pytest.mark.machine

NothingLeft = Callable[[Callable[[], set[str]]], AbstractContextManager[None]]


@pytest.fixture
def stacks(tmp_path: Path, assert_nothing_left: NothingLeft) -> Iterator[Callable[[str], Stack]]:
    """A maker of stacks of the example app; they are destroyed, and then nothing of them may be left."""
    made: list[Stack] = []
    mine: set[str] = set()

    def make(name: str) -> Stack:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Stack(name, folder, {"app": "examples/rocket", "healthPath": "/healthz"}))
        return made[-1]

    def ids() -> set[str]:
        found = {spec.id for id in machine.listed() if (spec := machine.find(id)) and is_ours(spec.owner, made)}
        mine.update(found, {network.id for network in bridge.listed() if is_ours(network.owner, made)})
        return mine

    with assert_nothing_left(ids):
        try:
            yield make
        finally:
            ids()
            for stack in made:
                stack.destroy()


def is_ours(owner: str, made: list[Stack]) -> bool:
    return any(f"/{stack.name}" in owner for stack in made)


def test_a_stack_comes_back_after_everything_of_it_was_killed_and_goes_without_a_trace(
    stacks: Callable[[str], Stack],
):
    stack = stacks("killed")
    stack.up()
    before = stack.outputs()
    kill_machine(before["servers"][0]["instance_id"])
    assert stack.steps() == {"killed-0": "update"}
    stack.up()
    assert stack.outputs() == before
    assert get(before["url"]).text == "Hello World!\n"
    kill_machine(before["servers"][0]["instance_id"])  # and now destroy a dead one


def test_two_stacks_live_side_by_side_and_the_end_of_one_is_nothing_to_the_other(stacks: Callable[[str], Stack]):
    one, two = stacks("left"), stacks("right")
    one.up()
    two.up()
    first, second = one.outputs()["url"], two.outputs()["url"]
    assert first != second
    one.destroy()
    assert get(second).text == "Hello World!\n"


def test_an_up_that_is_killed_leaves_nothing_that_the_next_one_does_not_mend(stacks: Callable[[str], Stack]):
    stack = stacks("interrupted")
    kill_up_once_it_says(stack, "-ready creating")
    # Whether the create is in the state already depends on when the kill came.
    assert "the state matches the cloud" in stack.recover()
    stack.up()
    assert get(stack.outputs()["url"]).text == "Hello World!\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"app": "nowhere", "domain": "www.x.test"}, ["app is 'nowhere'", "domain is 'www.x.test'"]),
        ({"network": "127.0.0.0/24"}, ["network"]),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_made(
    stacks: Callable[[str], Stack], settings: dict[str, object], said: list[str]
):
    stack = stacks("refused")
    stack.configure(**settings)
    done = stack.up(check=False)
    assert done.returncode != 0
    for words in said:
        assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_machine_of_the_right_kind_accepts_the_user_data(stacks: Callable[[str], Stack]):
    stack = stacks("schema")
    stack.up()
    assert "Valid schema" in stack.ssh("sudo cloud-init schema --system").stdout
    assert stack.ssh("cloud-init status").stdout.strip() == "status: done"
    assert stack.ssh("systemctl is-system-running").stdout.strip() == "running"
