"""The real engine and the simulated clouds' providers, as far as no machine is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import slope
from tests.clouds import manual_changes, without_ssh
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.digitalocean_api import TOKEN
from tests.clouds.infrastructure import Paper
from tests.clouds.provider import Cloud
from tests.clouds.simulated_commands import recorded, without_servers
from tests.clouds.simulated_stack import LARGER, new_stack, simulated
from tests.clouds.test_shapes import SITE, ZONE, with_zone
from tests.stack import Stack
from tools.setup.targets import words_of

pytestmark = pytest.mark.engine


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    with simulated(request.param, None, tmp_path) as cloud:
        yield cloud


@pytest.mark.parametrize("servers", [1, 2])
def test_a_preview_of_every_shape_is_accepted_and_touches_nothing(cloud: Cloud, servers: int, tmp_path: Path):
    stack = new_stack(cloud.package, tmp_path / "stack", servers=servers)
    steps = stack.steps()
    assert set(steps.values()) == {"create"}
    assert {f"sim-{number}-release" for number in range(servers)} <= set(steps)
    assert ("sim-balancer" in steps) == (servers == 2)
    assert cloud.leftovers() == []
    assert [call for call in cloud.calls if call[0] != "read"] == []


def test_without_a_change_no_server_is_asked_by_the_stack_nor_by_the_program_it_is_measured_beside(tmp_path: Path):
    with simulated("aws", Paper(), tmp_path) as cloud, recorded() as (commands, provider):
        variables = {slope.DEBUG: f"{os.environ[slope.DEBUG]},{provider}"}
        ours, alike = slope.side_by_side(tmp_path / "pair", 2, variables)
        assert ("create", "sim-1-confirm") in commands.asked
        cloud.calls.clear()
        commands.asked.clear()
        for stack in (ours, alike):
            stack.up("--expect-no-changes")
            stack.pulumi("preview", "--expect-no-changes")
        assert cloud.calls == commands.asked == []
        ours.configure(env={"COLOUR": "red"})
        ours.up()
        each = [("update", f"sim-{server}-{role}") for server in (0, 1) for role in ("confirm", "release")]
        assert sorted(commands.asked) == sorted([("update", "sim-0-prepare"), *each])


def test_what_is_gone_back_to_is_confirmed_also_where_a_confirmation_in_between_got_lost(tmp_path: Path):
    with simulated("aws", Paper(), tmp_path) as cloud, recorded() as (commands, provider):
        stack = new_stack(cloud.package, tmp_path / "stack", servers=2)
        stack.variables = {slope.DEBUG: f"{os.environ[slope.DEBUG]},{provider}"}
        stack.configure(env={"COLOUR": "red"})
        stack.up()
        stack.configure(env={"COLOUR": "blue"})
        commands.refuse = {"sim-0-confirm"}
        assert stack.up(check=False).returncode != 0
        commands.refuse.clear()
        commands.asked.clear()
        stack.configure(env={"COLOUR": "red"})
        stack.up()
        assert ("update", "sim-0-confirm") in commands.asked
        stack.up("--expect-no-changes")


def test_a_server_with_another_address_is_reached_there_and_has_no_second_first_contact(tmp_path: Path):
    with simulated("aws", Paper(), tmp_path) as cloud, recorded() as (commands, provider):
        stack = new_stack("aws", tmp_path / "stack", servers=2)
        stack.variables = {slope.DEBUG: f"{os.environ[slope.DEBUG]},{provider}"}
        stack.up()
        first, second = stack.outputs()["servers"]
        manual_changes.stop_and_start(cloud, first["instance_id"])
        commands.asked.clear()
        stack.pulumi("refresh", "--yes", "--skip-preview")
        stack.up()
        roles = {name.removeprefix("sim-0-") for _, name in commands.asked}
        assert roles == {"host-program", "configure", "artifact", "prepare", "release", "confirm", "joined", "closed"}
        assert set(commands.asked) == {("update", f"sim-0-{role}") for role in roles}
        now, same = stack.outputs()["servers"]
        assert (now["instance_id"], same) == (first["instance_id"], second)
        assert now["address"] != first["address"]
        stack.up("--expect-no-changes")
        stack.configure(size=LARGER["aws"])
        stack.up()
        assert first_contact(stack) == stack.outputs()["servers"][0]["address"] != now["address"]


def test_a_balancer_that_changes_stays_in_its_project(tmp_path: Path):
    with simulated("digitalocean", Paper(), tmp_path) as cloud:
        stack = new_stack("digitalocean", tmp_path / "stack", servers=2)
        without_ssh.up(stack)
        stack.configure(healthPath="/")
        without_ssh.up(stack)
        stack.pulumi("refresh", "--yes", "--skip-preview")
        without_ssh.unchanged(stack)
        assert isinstance(cloud, DigitalOcean)
        [balancer], [project] = cloud.all("load_balancer").values(), cloud.all("project")
        assert balancer["projectId"] == project
        stack.pulumi("destroy", "--yes", "--skip-preview")


@pytest.mark.parametrize("servers", [1, 2])
def test_a_vpc_that_its_members_leave_late_goes_with_the_first_destroy(servers: int, tmp_path: Path):
    with simulated("digitalocean", Paper(), tmp_path) as cloud:
        stack = new_stack("digitalocean", tmp_path / "stack", servers=servers)
        without_ssh.up(stack)
        stack.pulumi("destroy", "--yes", "--skip-preview")
        assert cloud.leftovers() == []


def test_the_token_of_the_settings_is_the_one_that_a_vpc_is_asked_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with simulated("digitalocean", Paper(), tmp_path) as cloud:
        monkeypatch.delenv("DIGITALOCEAN_TOKEN")
        stack = new_stack("digitalocean", tmp_path / "stack")
        stack.pulumi("config", "set", "--secret", "digitalocean:token", TOKEN)
        without_ssh.up(stack)
        stack.pulumi("destroy", "--yes", "--skip-preview")
        assert cloud.leftovers() == []


def test_a_stack_whose_server_was_deleted_by_hand_goes_with_the_first_destroy(cloud: Cloud, tmp_path: Path):
    with without_servers(tmp_path):
        stack = new_stack(cloud.package, tmp_path / "stack")
        stack.up()
        manual_changes.delete_server(cloud, stack.outputs()["servers"][0]["instance_id"])
        stack.pulumi(*words_of("destroy", stack.name, cloud.package)[:-2])
        assert cloud.leftovers() == []


def test_what_the_provider_fails_to_read_since_it_is_gone_recover_takes_out_of_the_state(tmp_path: Path):
    with simulated("digitalocean", Paper(), tmp_path) as cloud, without_servers(tmp_path):
        assert isinstance(cloud, DigitalOcean)
        with_zone(cloud)
        stack = new_stack("digitalocean", tmp_path / "stack", **SITE)
        stack.up()
        for damage, kind in (
            (manual_changes.lose_address, "ReservedIpAssignment"),
            (manual_changes.delete_project, "Project"),
        ):
            damage(cloud)
            assert stack.pulumi("refresh", "--yes", "--skip-preview", check=False).returncode != 0
            assert f"{kind} sim" in stack.recover()
            stack.up()
            stack.up("--expect-no-changes")
        manual_changes.lose_address(cloud)
        manual_changes.delete_project(cloud)
        stack.recover()
        stack.pulumi(*words_of("destroy", stack.name, "digitalocean")[:-2])
        assert cloud.leftovers() == [f"domain {ZONE}"]


def first_contact(stack: Stack) -> str:
    """Where it was."""
    return stack.resource("sim-0-ready")["connection"]["host"]
