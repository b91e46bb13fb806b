from __future__ import annotations

import base64
import gzip
import re
import subprocess
import sys

import pytest

from components.local import machine, machine_lifecycle, network_lifecycle
from components.local.lifecycle import Change

USER_DATA = "#cloud-config\n"
OLD = {
    "network": "gantry-a1b2c3",
    "hostname": "web-0",
    "user_data_sha256": machine_lifecycle.digest(USER_DATA),
    "built_from": "abc",
}
NEW = {"network": "gantry-a1b2c3", "hostname": "web-0", "user_data": USER_DATA}


# Changes


def change(news: dict[str, str], status: machine.Status = "running") -> Change:
    return machine_lifecycle.change(OLD, {**NEW, **news}, status)


def test_a_running_machine_with_the_same_inputs_has_no_change():
    assert change({}) == Change(changes=False)


@pytest.mark.parametrize("status", ["stopped", "unreachable"])
def test_a_machine_that_is_down_is_repaired_in_place(status: machine.Status):
    assert change({}, status) == Change(changes=True)


@pytest.mark.parametrize("status", ["gone", "half-made"])
def test_a_machine_without_its_disk_is_replaced(status: machine.Status):
    assert change({}, status).replaces == ("status",)


@pytest.mark.parametrize("key", ["user_data", "network", "hostname", "image"])
def test_a_change_of_these_inputs_replaces_the_machine(key: str):
    assert change({key: "another"}) == Change(changes=True, replaces=(key,))


def test_user_data_that_a_preview_does_not_know_replaces_the_machine():
    assert change({"user_data": machine_lifecycle.rpc.UNKNOWN}).replaces == ("user_data",)


def test_a_newer_base_image_does_not_replace_a_server():
    assert not change({}).changes
    assert not change({"image": "abc"}).changes


def test_another_range_replaces_a_network_but_no_range_keeps_it():
    olds = {"range": "10.77.0.0/24"}
    assert network_lifecycle.change(olds, {"cidr": "10.9.0.0/24"}, "up").replaces == ("cidr",)
    assert not network_lifecycle.change(olds, {"cidr": "10.77.0.0/24"}, "up").changes
    assert not network_lifecycle.change(olds, {}, "up").changes
    assert network_lifecycle.change(olds, {}, "down") == Change(changes=True)


def test_compressed_user_data_is_decoded_from_base64():
    packed = gzip.compress(b"#cloud-config\n")
    assert machine_lifecycle.decode_user_data(base64.b64encode(packed).decode()) == packed
    assert machine_lifecycle.decode_user_data("#cloud-config\n") == b"#cloud-config\n"


# What the project imports and stores


def test_importing_the_machine_module_imports_no_sdk():
    program = "import sys, components.local.machine; print([m for m in sys.modules if m.startswith('pulumi')])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_the_state_holds_only_the_name_of_a_provider():
    import pulumi.dynamic.dynamic as dynamic

    from components.local import resources

    for provider in (resources.NetworkProvider(), resources.MachineProvider()):
        pickled = base64.b64decode(dynamic.serialize_provider(provider))
        assert b"components.local.resources" in pickled
        assert len(pickled) < 100, "the state holds code, so each edit of it would show as a change"


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("dev-0", "dev-0"), ("My App_1", "my-app-1"), ("--", "server"), ("a" * 70, "a" * 63)],
)
def test_a_resource_name_becomes_a_host_name(name: str, hostname: str):
    from components.local.server import hostname_of

    assert hostname_of(name) == hostname
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", hostname_of(name))
