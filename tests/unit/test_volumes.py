"""The volume of each target: where it is, what protects it, and what waits for what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components import naming, volumes
from components.aws.rollout_hook import RolloutHook
from components.local.resources import VolumeAttachmentProvider
from tests import mocks
from tests.mocks import AWS, DIGITALOCEAN, Recorder, Registration, build_stack, is_secret, short_urn
from tests.stack_settings import mistakes, read

LOCAL: dict[str, Any] = {"target": "local"}
TARGETS = {"local": LOCAL, "aws": AWS, "digitalocean": DIGITALOCEAN}
VOLUMES = {"aws": "aws:ebs/volume:Volume", "digitalocean": "digitalocean:index/volume:Volume"}
PATHS = {
    "local": "/var/lib/gantry/volume",
    "aws": "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{id}",
    "digitalocean": "/dev/disk/by-id/scsi-0DO_Volume_prod-volume-0a1b2c3",
}


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return request.param


def build(folder: Path, target: str, **changes: Any) -> Recorder:
    return build_stack(folder, **{**TARGETS[target], "storage": 20, **changes})


def attachment_of(stack: Recorder) -> Registration:
    [attachment] = [resource for resource in stack.registrations if resource.type.endswith(":VolumeAttachment")]
    return attachment


def test_a_stack_without_storage_has_no_resource_of_a_volume(target: str, tmp_path: Path):
    stack = build_stack(tmp_path, **TARGETS[target])
    types = {resource.type for resource in stack.registrations}
    assert not [type_ for type_ in types if "olume" in type_ or "dlm" in type_ or "Unmount" in type_]
    assert "prod-0-prepare" not in stack.custom_names()
    assert "volume" not in stack.custom("prod-0-release").inputs["create"]


def test_the_volume_is_attached_after_the_preparation_and_mounted_before_the_release(target: str, tmp_path: Path):
    stack = build(tmp_path, target)
    mount, unmount = stack.custom("prod-0-volume"), stack.custom("prod-0-unmount")
    attachment = attachment_of(stack)
    assert {attachment.name, "prod-0-unmount", "prod-0-prepare"} <= mount.dependency_names
    assert attachment.name in unmount.dependency_names
    assert "prod-0-volume" in stack.custom("prod-0-release").dependency_names
    before = "prod-address-preparation" if target == "aws" else "prod-0-prepare"
    assert before in attachment.dependency_names


def test_the_volume_is_mounted_again_if_it_is_another_one(target: str, tmp_path: Path):
    stack = build(tmp_path, target)
    [volume] = [resource for resource in stack.registrations if resource.custom and resource.type.endswith(":Volume")]
    assert stack.custom("prod-0-volume").inputs["triggers"][1:] == [volume.id]
    assert len(stack.custom("prod-0-release").inputs["triggers"]) == 1


def test_another_volume_or_machine_replaces_a_local_attachment():
    provider, olds = VolumeAttachmentProvider(), {"machine": "i-1", "volume": "v-1"}
    assert provider.diff("i-1", olds, {**olds}).changes is False
    assert provider.diff("i-1", olds, {**olds, "volume": "v-2"}).replaces == ["volume"]
    assert provider.diff("i-1", olds, {**olds, "machine": "i-2"}).replaces == ["machine"]


def test_the_mount_names_the_volume_by_its_identity_and_its_size(target: str, tmp_path: Path):
    stack = build(tmp_path, target)
    path = PATHS[target].format(id=stack.one(VOLUMES["aws"]).id if target == "aws" else "")
    assert stack.custom("prod-0-volume").inputs["create"] == f"sudo gantry mount-volume {path} --size 20"
    assert "--volume" in stack.custom("prod-0-release").inputs["create"].split()
    assert "--without-data" in stack.custom("prod-0-prepare").inputs["create"].split()


def test_the_old_server_unmounts_before_the_volume_is_detached(target: str, tmp_path: Path):
    stack = build(tmp_path, target)
    unmount, attachment = stack.custom("prod-0-unmount"), attachment_of(stack)
    # Pulumi deletes first what has an output of the attachment as a property.
    [urn] = unmount.request.propertyDependencies["attachment"].urns
    assert short_urn(urn).endswith(f":VolumeAttachment::{attachment.name}")
    assert attachment.request.deleteBeforeReplace
    assert is_secret(unmount.inputs["private_key"])


@pytest.mark.parametrize("cloud", VOLUMES)
@pytest.mark.parametrize("deletable", [False, True])
def test_a_volume_in_a_cloud_is_protected_unless_the_settings_allow_its_deletion(
    cloud: str, deletable: bool, tmp_path: Path
):
    volume = build(tmp_path, cloud, delete_storage=deletable).one(VOLUMES[cloud])
    assert (volume.request.protect, volume.request.retainOnDelete) == (not deletable, not deletable)


def test_on_aws_the_volume_is_encrypted_and_in_the_zone_of_the_server(tmp_path: Path):
    stack = build(tmp_path, "aws")
    volume, instance = stack.one(VOLUMES["aws"]), stack.one(":Instance")
    assert (volume.inputs["encrypted"], volume.inputs["type"], volume.inputs["size"]) == (True, "gp3", 20)
    subnets = {subnet.id: subnet.inputs["availabilityZone"] for subnet in stack.of_type(":Subnet")}
    assert volume.inputs["availabilityZone"] == subnets[instance.inputs["subnetId"]] == "eu-1a"
    assert list(volume.request.ignoreChanges) == ["availabilityZone"]
    assert attachment_of(stack).inputs["forceDetach"] is False


def test_on_aws_a_server_in_an_existing_network_is_in_the_zone_of_the_volume(tmp_path: Path):
    stack = build(tmp_path, "aws", vpc="vpc-1", network=None)
    assert stack.one(VOLUMES["aws"]).inputs["availabilityZone"] == "eu-1a"
    assert stack.one(":Instance").inputs["subnetId"] == "subnet-a1"


def test_on_aws_seven_daily_snapshots_of_this_volume_alone_are_kept(tmp_path: Path):
    stack = build(tmp_path, "aws")
    policy = stack.one(":LifecyclePolicy").inputs
    [schedule] = policy["policyDetails"]["schedules"]
    assert schedule["retainRule"] == {"count": 7}
    assert schedule["createRule"]["interval"] == 24
    assert policy["policyDetails"]["targetTags"] == {"GantryVolume": "gantry/prod"}
    assert stack.one(VOLUMES["aws"]).inputs["tags"]["GantryVolume"] == "gantry/prod"


def test_on_aws_the_new_server_has_everything_but_the_volume_before_the_old_one_loses_it(tmp_path: Path):
    stack = build(tmp_path, "aws")
    assert attachment_of(stack).name in stack.custom("prod-address-handover").dependency_names


@pytest.mark.parametrize("has_address", [False, True])
def test_on_aws_only_a_server_that_has_the_address_is_not_prepared_before_its_volume(
    has_address: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hooks: list[RolloutHook] = []
    init = RolloutHook.__init__

    def recording_init(hook: RolloutHook, *args: Any, **options: Any) -> None:
        hooks.append(hook)
        init(hook, *args, **options)

    monkeypatch.setattr(RolloutHook, "__init__", recording_init)
    if has_address:
        monkeypatch.setitem(mocks.INSTANCE, "publicIp", mocks.ELASTIC_IP)
    stack = build(tmp_path, "aws")
    [lookup] = [lookup for lookup in stack.lookups if lookup.token == "aws:ec2/getInstance:getInstance"]
    assert lookup.args["instanceId"] == stack.one(":Instance").id
    needed = {hook._role: hook._is_needed for hook in hooks}
    assert needed == {"preparation": not has_address, "handover": True}


def test_behind_a_balancer_a_single_server_gets_its_volume_in_the_rollout(tmp_path: Path):
    stack = build(tmp_path, "aws", balancer=True)
    assert "prod-0-prepare" in attachment_of(stack).dependency_names


@pytest.mark.parametrize("stack_name", ["prod", "a" * 60, "Prod_1"])
def test_on_aws_the_names_for_snapshots_are_short_enough_for_iam(stack_name: str, tmp_path: Path):
    stack = build_stack(tmp_path, stack=stack_name, **AWS, storage=20)
    label = stack.one(":LifecyclePolicy").name
    assert label in [role.name for role in stack.of_type("iam/role:Role")]
    assert len(label) + naming.AUTONAME_LENGTH <= 64


def test_on_digitalocean_the_volume_has_a_name_that_begins_with_a_letter_and_no_description(tmp_path: Path):
    stack = build_stack(tmp_path, stack="2026-prod", **DIGITALOCEAN, storage=20)
    volume = stack.one(VOLUMES["digitalocean"])
    assert re.fullmatch(r"gantry-2026-prod-volume-[0-9a-f]{6}", volume.name)
    # Other values replace a volume. Without ignore_changes, so would the missing one of a volume from before.
    assert "description" not in volume.inputs
    assert list(volume.request.ignoreChanges) == ["description"]


def test_a_local_machine_sees_the_folder_from_its_boot_on(tmp_path: Path):
    stack = build(tmp_path, "local")
    [volume] = [resource for resource in stack.of_type("local:Volume") if resource.custom]
    assert stack.one("local:Machine").inputs["volume"] == volume.id
    assert "volume" not in build_stack(tmp_path, **LOCAL).one("local:Machine").inputs


@pytest.mark.parametrize("deletable", [False, True])
def test_a_local_volume_records_whether_it_may_be_deleted(deletable: bool, tmp_path: Path):
    [volume] = [
        resource
        for resource in build(tmp_path, "local", delete_storage=deletable).of_type("local:Volume")
        if resource.custom
    ]
    # A volume of an earlier version has no such property, and doesn't change.
    assert volume.inputs.get("deletable") is (True if deletable else None)


def test_after_the_removal_of_storage_only_delete_storage_lets_the_release_go_on(tmp_path: Path):
    flags = build_stack(tmp_path, **LOCAL, delete_storage=True).custom("prod-0-release").inputs["create"].split()
    assert "--give-volume-up" in flags


def test_several_servers_are_refused_with_the_reason_and_the_remedy(root: Path):
    text = mistakes(root, target="local", storage=20, servers=2)
    assert "storage is 20, but a volume belongs to one server, and servers is 2" in text
    assert "pulumi config set servers 1" in text


@pytest.mark.parametrize("value", ["-1", "20GB", "1.5", 16385])
def test_the_size_is_a_whole_number_of_gigabytes_that_both_clouds_have(value: object, root: Path):
    assert "must be a whole number from 0 to 16384" in mistakes(root, target="local", storage=value)


@pytest.mark.parametrize(
    ("size", "is_refused"), [("t2.micro", True), ("m4.large", True), ("f1.2xlarge", True), ("t3.micro", False)]
)
def test_on_aws_a_type_without_nvme_is_refused(size: str, is_refused: bool, root: Path):
    settings = {"target": "aws", "region": "eu-central-1", "sshFrom": ["203.0.113.7/32"], "storage": 20}
    if is_refused:
        assert "a type of the Nitro system" in mistakes(root, **settings, size=size)
    else:
        assert read(root, **settings, size=size).storage == 20


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"volumeId": "vol-1"}, "the site is down for about 40 s"),
        ({"instanceId": "i-1"}, "the app is stopped while the data"),
        ({"instanceId": 401.0}, "the app is stopped while the data"),
        ({"volumeId": "vol-1", "instanceId": "i-1"}, "the site is down for about 40 s"),
        ({}, None),
    ],
)
def test_a_preview_says_what_an_attachment_means_for_the_site(inputs: dict[str, Any], words: str | None):
    text = volumes.announcement(inputs, volume="volumeId", server="instanceId", outage_seconds=40)
    assert (words in text) if words and text else text is words


def test_the_outage_includes_the_watch_of_the_release():
    assert volumes.outage_seconds(watch=60) - volumes.outage_seconds(watch=1) == 59


def test_the_outage_of_the_settings_is_announced(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    announced: list[int] = []
    original = volumes.attachment_options

    def record(*args: Any, outage_seconds: int, **options: Any) -> Any:
        announced.append(outage_seconds)
        return original(*args, outage_seconds=outage_seconds, **options)

    monkeypatch.setattr(volumes, "attachment_options", record)
    build(tmp_path, target, watch=60)
    assert announced == [volumes.outage_seconds(60)]
