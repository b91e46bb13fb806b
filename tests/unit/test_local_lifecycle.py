from __future__ import annotations

import base64
import gzip
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from components.local import machine, machine_lifecycle, network_lifecycle, volume_lifecycle, volume_store
from components.local.computer import LocalError
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


def test_a_smaller_volume_is_refused_and_a_larger_one_is_an_update(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(volume_lifecycle.computer, "require_root_and_tools", lambda: None)
    olds = {"volume_id": "v-1", "owner": "a", "size": 20.0}
    with pytest.raises(LocalError, match="pulumi config set storage 20"):
        volume_lifecycle.check(olds, {"owner": "a", "size": 5})
    assert volume_lifecycle.check(olds, {"owner": "a", "size": 30})["volume_id"] == "v-1"
    assert volume_lifecycle.diff("v-1", olds, {"owner": "a", "size": 30}).changes
    assert not volume_lifecycle.diff("v-1", olds, {"owner": "moved", "size": 20}).changes


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this computer's volumes."""
    monkeypatch.setattr(volume_store.store, "VOLUMES", tmp_path / "volumes")
    monkeypatch.setattr(volume_store.store, "lock", lambda: nullcontext())
    monkeypatch.setattr(volume_store.store, "remove_empty_folders", lambda: None)
    monkeypatch.setattr(volume_lifecycle.computer, "require_root_and_tools", lambda: None)
    return tmp_path / "volumes"


def create_volume(**props: Any) -> None:
    """Create the volume v-1 with a file in it."""
    volume_lifecycle.create({"volume_id": "v-1", "owner": "a", "size": 20, **props})
    (volume_store.data_of("v-1") / "file").touch()


def test_a_volume_with_data_is_deleted_only_on_purpose(
    volumes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    create_volume()
    with pytest.raises(LocalError, match="deleteStorage true; make up; pulumi config rm storage; make up"):
        volume_lifecycle.delete("v-1")
    assert (volumes / "v-1/data/file").exists()
    monkeypatch.setenv(volume_store.DELETE_STORAGE, "true")
    volume_lifecycle.delete("v-1")
    assert not (volumes / "v-1").exists()
    assert "is deleted with the data of the app" in capsys.readouterr().out


def test_an_empty_volume_is_deleted(volumes: Path):
    volume_lifecycle.create({"volume_id": "v-1", "owner": "a", "size": 20})
    volume_lifecycle.delete("v-1")
    assert not (volumes / "v-1").exists()


def test_the_setting_that_allows_the_deletion_is_recorded_and_taken_back(volumes: Path):
    create_volume()
    olds = {"volume_id": "v-1", "owner": "a", "size": 20}
    news = {**olds, "deletable": True}
    assert volume_lifecycle.diff("v-1", olds, news).changes
    assert volume_lifecycle.update("v-1", olds, news)["deletable"] is True
    assert not volume_lifecycle.diff("v-1", news, news).changes
    volume_lifecycle.update("v-1", news, olds)
    with pytest.raises(LocalError):
        volume_lifecycle.delete("v-1")
    volume_lifecycle.update("v-1", olds, news)
    volume_lifecycle.delete("v-1")
    assert not (volumes / "v-1").exists()


def test_a_volume_of_an_earlier_version_is_not_deletable(volumes: Path):
    create_volume()
    (volumes / "v-1/volume.json").write_text('{"id": "v-1", "owner": "a", "size": 20}')
    with pytest.raises(LocalError, match="The data is deleted only on purpose"):
        volume_lifecycle.delete("v-1")


def test_without_storage_a_machine_is_refused_before_it_or_another_serves_without_its_data(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(machine, "claim", lambda _: None)
    create_volume()
    olds = {**NEW, "machine_id": "i-1", "volume": "v-1"}
    with pytest.raises(LocalError, match="pulumi config set storage <GB>"):
        machine_lifecycle.check(olds, NEW)
    volume_lifecycle.update("v-1", {}, {"size": 20, "deletable": True})
    assert machine_lifecycle.check(olds, NEW)["machine_id"] == "i-1"


def test_a_machine_restarts_for_another_volume_and_keeps_the_one_that_is_no_longer_set():
    olds = {"user_data_sha256": machine_lifecycle.digest(""), "volume": "v-1"}
    assert not machine_lifecycle.change(olds, {"volume": "v-1"}, "running").changes
    change = machine_lifecycle.change(olds, {"volume": "v-2"}, "running")
    assert (change.changes, change.replaces) == (True, ())
    assert not machine_lifecycle.change(olds, {}, "running").changes
    del olds["volume"]
    assert machine_lifecycle.change(olds, {"volume": "v-1"}, "running").changes
