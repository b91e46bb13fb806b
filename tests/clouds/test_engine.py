"""The real engine with the providers of the simulated clouds. No machine boots."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench import slope
from tests.clouds import manual_changes, without_ssh
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.digitalocean_api import TOKEN
from tests.clouds.digitalocean_resource import PROJECT_KEY
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_commands import serve_simulated_plugin, simulated_commands
from tests.clouds.simulated_stack import LARGER_SIZES, another_provider, new_stack, simulated_cloud
from tests.clouds.test_shapes import DOMAIN_SETTINGS, ZONE, changing_calls, create_zone
from tests.stack import Stack, output
from tools.offline.command_plugin.values import is_secret
from tools.setup.targets import words_of

pytestmark = pytest.mark.engine


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedCloud]:
    with simulated_cloud(request.param, tmp_path) as cloud:
        yield cloud


@pytest.mark.parametrize("servers", [1, 2])
def test_a_preview_with_and_without_a_balancer_is_accepted_and_changes_nothing(
    cloud: SimulatedCloud, servers: int, tmp_path: Path
):
    stack = new_stack(cloud.package, tmp_path / "stack", servers=servers)
    steps = stack.steps()
    assert set(steps.values()) == {"create"}
    assert {f"sim-{number}-release" for number in range(servers)} <= set(steps)
    assert ("sim-balancer" in steps) == (servers == 2)
    assert cloud.leftovers() == []
    assert changing_calls(cloud) == []


def test_without_a_change_neither_the_stack_nor_the_minimal_program_runs_a_command_on_a_server(tmp_path: Path):
    with simulated_cloud("aws", tmp_path) as cloud, serve_simulated_plugin() as (plugin, address):
        variables = {slope.DEBUG: f"{os.environ[slope.DEBUG]},{address}"}
        gantry_stack, minimal_stack = slope.side_by_side(tmp_path / "pair", 2, variables)
        assert ("create", "sim-1-confirm") in plugin.calls
        cloud.calls.clear()
        plugin.calls.clear()
        for stack in (gantry_stack, minimal_stack):
            stack.up("--expect-no-changes")
            stack.pulumi("preview", "--expect-no-changes")
        assert cloud.calls == plugin.calls == []
        gantry_stack.configure(env={"COLOUR": "red"})
        gantry_stack.up()
        # A server builds the release with the app's variables, so each prepares it again.
        roles = ("prepare", "release", "confirm")
        assert sorted(plugin.calls) == sorted(("update", f"sim-{server}-{role}") for server in (0, 1) for role in roles)


def test_rolling_back_confirms_the_earlier_release_also_after_a_confirmation_was_lost(tmp_path: Path):
    with simulated_cloud("aws", tmp_path) as cloud, serve_simulated_plugin() as (plugin, address):
        stack = new_stack(cloud.package, tmp_path / "stack", servers=2)
        stack.shell_env = {slope.DEBUG: f"{os.environ[slope.DEBUG]},{address}"}
        stack.configure(env={"COLOUR": "red"})
        stack.up()
        stack.configure(env={"COLOUR": "blue"})
        plugin.failing_updates = {"sim-0-confirm"}
        assert stack.up(check=False).returncode != 0
        plugin.failing_updates.clear()
        plugin.calls.clear()
        stack.configure(env={"COLOUR": "red"})
        stack.up()
        assert ("update", "sim-0-confirm") in plugin.calls
        stack.up("--expect-no-changes")


def test_a_server_with_a_new_address_is_updated_at_that_address_without_a_second_bootstrap(tmp_path: Path):
    with simulated_cloud("aws", tmp_path) as cloud, simulated_commands(tmp_path) as plugin:
        stack = new_stack("aws", tmp_path / "stack", servers=2)
        stack.up()
        first, second = stack.outputs()["servers"]
        manual_changes.stop_and_start(cloud, first["instance_id"])
        plugin.calls.clear()
        stack.pulumi("refresh", "--yes", "--skip-preview")
        stack.up()
        roles = {name.removeprefix("sim-0-") for _, name in plugin.calls}
        configuration, release = {"logins", "host-program", "configure"}, {"artifact", "prepare", "release", "confirm"}
        assert roles == configuration | release | {"joined", "closed"}
        assert set(plugin.calls) == {("update", f"sim-0-{role}") for role in roles}
        moved, unmoved = stack.outputs()["servers"]
        assert (moved["instance_id"], unmoved) == (first["instance_id"], second)
        assert moved["address"] != first["address"]
        stack.up("--expect-no-changes")
        stack.configure(size=LARGER_SIZES["aws"])
        stack.up()
        assert bootstrap_address(stack) == stack.outputs()["servers"][0]["address"] != moved["address"]


def test_a_secret_input_is_secret_in_the_state_although_the_provider_accepts_no_secrets(
    cloud: SimulatedCloud, tmp_path: Path
):
    stack = new_stack(cloud.package, tmp_path / "stack", servers=2)
    without_ssh.up(stack)
    resources = json.loads(stack.pulumi("stack", "export").stdout)["deployment"]["resources"]
    servers = [resource for resource in resources if resource["type"].endswith((":Instance", ":Droplet"))]
    assert len(servers) == 2
    for server in servers:
        assert is_secret(server["inputs"]["userData"])
        assert is_secret(server["outputs"]["userData"])
    stack.pulumi("destroy", "--yes", "--skip-preview")


def test_an_update_keeps_a_balancer_in_its_project(tmp_path: Path):
    with simulated_cloud("digitalocean", tmp_path) as cloud:
        stack = new_stack("digitalocean", tmp_path / "stack", servers=2)
        without_ssh.up(stack)
        stack.configure(healthPath="/")
        without_ssh.up(stack)
        stack.pulumi("refresh", "--yes", "--skip-preview")
        without_ssh.expect_no_changes(stack)
        assert isinstance(cloud, SimulatedDigitalOcean)
        [balancer], [project] = cloud.documents("load_balancer").values(), cloud.documents("project")
        assert balancer["projectId"] == project
        stack.pulumi("destroy", "--yes", "--skip-preview")


def test_as_many_servers_as_the_engine_creates_at_once_do_not_wait_for_each_other(tmp_path: Path):
    with simulated_cloud("aws", tmp_path) as cloud, simulated_commands(tmp_path):
        stack = new_stack("aws", tmp_path / "stack", servers=3)
        stack.up("--parallel", "2")
        assert len(stack.outputs()["servers"]) == 3
        stack.destroy()
        assert cloud.leftovers() == []


def test_a_change_between_one_server_and_two_keeps_all_servers_in_the_project(tmp_path: Path):
    with simulated_cloud("digitalocean", tmp_path) as cloud, simulated_commands(tmp_path):
        assert isinstance(cloud, SimulatedDigitalOcean)
        stack = new_stack("digitalocean", tmp_path / "stack", servers=1)
        stack.up()
        for servers in (2, 1):
            stack.configure(servers=servers)
            stack.up()
            stack.pulumi("refresh", "--yes", "--skip-preview")
            stack.up("--expect-no-changes")
            [project] = cloud.documents("project")
            droplets = cloud.documents("droplet").values()
            assert [droplet[PROJECT_KEY] for droplet in droplets] == [project] * servers
        stack.destroy()
        assert cloud.leftovers() == []


@pytest.mark.parametrize("servers", [1, 2])
def test_the_first_destroy_deletes_a_vpc_although_its_members_leave_it_late(servers: int, tmp_path: Path):
    with simulated_cloud("digitalocean", tmp_path) as cloud:
        stack = new_stack("digitalocean", tmp_path / "stack", servers=servers)
        without_ssh.up(stack)
        stack.pulumi("destroy", "--yes", "--skip-preview")
        assert cloud.leftovers() == []


def test_the_wait_for_an_empty_vpc_uses_the_token_of_the_stacks_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with simulated_cloud("digitalocean", tmp_path) as cloud:
        monkeypatch.delenv("DIGITALOCEAN_TOKEN")
        stack = new_stack("digitalocean", tmp_path / "stack")
        stack.pulumi("config", "set", "--secret", "digitalocean:token", TOKEN)
        without_ssh.up(stack)
        stack.pulumi("destroy", "--yes", "--skip-preview")
        assert cloud.leftovers() == []


def test_the_first_destroy_removes_a_stack_whose_server_was_deleted_manually(cloud: SimulatedCloud, tmp_path: Path):
    with simulated_commands(tmp_path):
        stack = new_stack(cloud.package, tmp_path / "stack")
        stack.up()
        manual_changes.delete_server(cloud, stack.outputs()["servers"][0]["instance_id"])
        stack.pulumi(*words_of("destroy", stack.name, cloud.package)[:-2])
        assert cloud.leftovers() == []


def test_recover_removes_the_assignment_of_a_deleted_address_and_a_refresh_removes_a_deleted_project(tmp_path: Path):
    with simulated_cloud("digitalocean", tmp_path) as cloud, simulated_commands(tmp_path):
        assert isinstance(cloud, SimulatedDigitalOcean)
        create_zone(cloud)
        stack = new_stack("digitalocean", tmp_path / "stack", **DOMAIN_SETTINGS)
        stack.up()
        manual_changes.release_address(cloud)
        assert stack.pulumi("refresh", "--yes", "--skip-preview", check=False).returncode != 0
        assert "ReservedIpAssignment sim" in stack.recover()
        stack.up()
        stack.up("--expect-no-changes")
        # The provider reads a deleted project as gone.
        manual_changes.delete_project(cloud)
        stack.pulumi("refresh", "--yes", "--skip-preview")
        stack.up()
        stack.up("--expect-no-changes")
        manual_changes.release_address(cloud)
        manual_changes.delete_project(cloud)
        stack.recover()
        stack.pulumi(*words_of("destroy", stack.name, "digitalocean")[:-2])
        assert cloud.leftovers() == [f"domain {ZONE}"]


@pytest.mark.parametrize("change", [manual_changes.detach_address, manual_changes.release_address])
def test_a_detached_address_stops_make_up_before_digitaloceans_provider_crashes(
    change: Callable[[SimulatedCloud], None], tmp_path: Path
):
    with simulated_cloud("digitalocean", tmp_path) as cloud, simulated_commands(tmp_path):
        stack = new_stack("digitalocean", tmp_path / "stack")
        stack.up()
        address = stack.outputs()["url"].removeprefix("http://").strip("/")
        change(cloud)
        stack.configure(servers=2)
        result = stack.make_up()
        assert result.returncode == 1
        assert f"The address {address} is no longer assigned to the server" in result.stderr
        assert "make recover STACK=sim" in result.stderr
        with ExitStack() as restarted:
            if change is manual_changes.detach_address:
                # Plain `pulumi up` doesn't look first. The next engine starts another process of the provider.
                assert "ReservedIpAssignment sim-address **deleting failed**" in output(stack.failing_up())
                restarted.enter_context(another_provider(cloud))
            assert "ReservedIpAssignment" in stack.recover()
            stack.up()
            stack.up("--expect-no-changes")
            stack.destroy()
        assert cloud.leftovers() == []


def bootstrap_address(stack: Stack) -> str:
    """The address at which the first server was bootstrapped."""
    return stack.resource("sim-0-ready")["connection"]["host"]
