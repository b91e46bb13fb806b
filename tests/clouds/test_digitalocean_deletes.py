"""The simulated DigitalOcean: deletions, and which resources are in a project. No machine boots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.digitalocean_projects import DEFAULT_PROJECT
from tests.clouds.digitalocean_resource import PROJECT_KEY
from tests.clouds.engine_client import EngineClient, ProviderError
from tests.clouds.faults import Call
from tests.clouds.test_digitalocean import (
    ASSIGNMENT,
    BALANCER,
    DROPLET,
    FORWARDING_RULES,
    PROJECT,
    PROJECT_RESOURCES,
    PUBLIC_KEY,
    RESERVED_IP,
    TAG,
    VPC,
    droplet,
)
from tests.clouds.test_digitalocean_inputs import token


@pytest.fixture
def assignment(digitalocean_engine: EngineClient, vpc: str) -> str:
    """The assignment of an address whose droplet is deleted."""
    engine = digitalocean_engine
    id, _ = engine.create(DROPLET, **droplet(vpc))
    address = engine.create(RESERVED_IP, region="fra1")[1]["ipAddress"]
    assignment, _ = engine.create(ASSIGNMENT, dropletId=int(id), ipAddress=address)
    engine.delete(DROPLET, id)
    return assignment


def test_an_assignment_whose_address_leads_nowhere_is_read_as_gone(digitalocean_engine: EngineClient, assignment: str):
    assert digitalocean_engine.read(ASSIGNMENT, assignment) is None


def test_deleting_an_assignment_whose_address_leads_nowhere_ends_the_provider_with_all_that_is_under_way(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, assignment: str
):
    engine = digitalocean_engine
    reading, ended = threading.Event(), threading.Event()
    errors: list[str] = []

    def hold_reads(call: Call) -> None:
        if call.operation == "read":
            reading.set()
            ended.wait(10)

    def read() -> None:
        try:
            engine.read(RESERVED_IP, assignment.split("-")[1])
        except ProviderError as error:
            errors.append(str(error))

    digitalocean.faults.on_call = hold_reads
    under_way = threading.Thread(target=read)
    under_way.start()
    assert reading.wait(10)
    with pytest.raises(ProviderError):
        engine.delete(ASSIGNMENT, assignment)
    under_way.join(10)
    ended.set()
    assert len(errors) == 1
    with pytest.raises(ProviderError):
        engine.create(TAG)


def test_the_deletion_of_a_vpc_is_tried_again_until_its_members_have_left(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str
):
    digitalocean.faults.vpc_exit_seconds, digitalocean.faults.retry_seconds = 0.5, 0.2
    id, _ = digitalocean_engine.create(DROPLET, **droplet(vpc))
    with pytest.raises(ProviderError, match="409 Can not delete VPC with members"):
        digitalocean_engine.delete(VPC, vpc)
    digitalocean_engine.delete(DROPLET, id)
    start = time.monotonic()
    digitalocean.faults.retry_seconds = 5.0
    digitalocean_engine.delete(VPC, vpc)
    assert 0.3 < time.monotonic() - start < 2


# Creates a resource, perhaps in the VPC with this id; returns its type token and its id.
Creates = Callable[[EngineClient, str], tuple[str, str]]


def create(type_: str, **inputs: Any) -> Creates:
    return lambda engine, _vpc: (token(type_), engine.create(token(type_), **inputs)[0])


def create_in_vpc(type_: str, **inputs: Any) -> Creates:
    return lambda engine, vpc: create(type_, vpcUuid=vpc, **inputs)(engine, vpc)


def create_in_domain(type_: str, **inputs: Any) -> Creates:
    def creates(engine: EngineClient, vpc: str) -> tuple[str, str]:
        create("Domain", name="example.org")(engine, vpc)
        return create(type_, **inputs)(engine, vpc)

    return creates


def create_volume_attachment(engine: EngineClient, vpc: str) -> tuple[str, str]:
    server, _ = engine.create(DROPLET, **droplet(vpc))
    volume, _ = engine.create(token("Volume"), region="fra1", size=10)
    return create("VolumeAttachment", dropletId=int(server), volumeId=volume)(engine, vpc)


def create_project_resources(engine: EngineClient, vpc: str) -> tuple[str, str]:
    project, _ = engine.create(PROJECT)
    return create("ProjectResources", project=project, resources=[])(engine, vpc)


RULE = {"protocol": "tcp", "portRange": "22", "sourceAddresses": ["10.0.0.0/8"]}
BALANCER_INPUTS = {"region": "fra1", "forwardingRules": FORWARDING_RULES}
GONE_IS_AN_ERROR: dict[str, Creates] = {
    "a firewall": create("Firewall", inboundRules=[RULE]),
    "a reserved IP": create("ReservedIp", region="fra1"),
    "a droplet": create_in_vpc("Droplet", image="debian-13-x64", size="s-1vcpu-1gb", region="fra1"),
    "a certificate": create_in_domain("Certificate", type="lets_encrypt", domains=["example.org"]),
    "a domain": create("Domain", name="example.org"),
    "a project": create("Project"),
    "a key": create("SshKey", publicKey=PUBLIC_KEY),
    "a tag": create("Tag"),
    "a VPC": lambda _engine, vpc: (VPC, vpc),
    "a volume": create("Volume", region="fra1", size=10),
    "a volume's attachment": create_volume_attachment,
}
GONE_IS_FINE: dict[str, Creates] = {
    "a balancer": create_in_vpc("LoadBalancer", **BALANCER_INPUTS),
    "a record": create_in_domain("DnsRecord", domain="example.org", type="A", name="www", value="198.18.0.1"),
    "ProjectResources": create_project_resources,
}


@pytest.mark.parametrize("creates", GONE_IS_AN_ERROR.values(), ids=GONE_IS_AN_ERROR)
def test_the_deletion_of_what_is_already_gone_fails(digitalocean_engine: EngineClient, vpc: str, creates: Creates):
    type_, id = creates(digitalocean_engine, vpc)
    digitalocean_engine.delete(type_, id)
    with pytest.raises(ProviderError, match="404"):
        digitalocean_engine.delete(type_, id)


@pytest.mark.parametrize("creates", GONE_IS_FINE.values(), ids=GONE_IS_FINE)
def test_the_deletion_of_what_is_already_gone_succeeds(digitalocean_engine: EngineClient, vpc: str, creates: Creates):
    type_, id = creates(digitalocean_engine, vpc)
    digitalocean_engine.delete(type_, id)
    digitalocean_engine.delete(type_, id)


def project_of(cloud: SimulatedDigitalOcean, droplet_id: str) -> str | None:
    return cloud.documents("droplet")[droplet_id].get(PROJECT_KEY)


def test_a_project_reads_its_resources_and_its_deletion_moves_those_of_the_last_read_to_the_default_project(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str
):
    engine = digitalocean_engine
    (first, first_outputs), (second, second_outputs) = (
        engine.create(DROPLET, name, **droplet(vpc)) for name in ("first", "second")
    )
    project, outputs = engine.create(PROJECT)
    assert outputs["resources"] == []
    engine.create(PROJECT_RESOURCES, project=project, resources=[first_outputs["dropletUrn"]])
    state = engine.read(PROJECT, project)
    assert state
    assert state["resources"] == [first_outputs["dropletUrn"]]
    # A resource that came after the last read stops the deletion.
    urns = [first_outputs["dropletUrn"], second_outputs["dropletUrn"]]
    engine.update(
        PROJECT_RESOURCES, project, olds={"project": project, "resources": urns[:1]},
        news={"project": project, "resources": urns},
    )  # fmt: skip
    digitalocean.faults.retry_seconds = 0.1
    with pytest.raises(ProviderError, match=r"412.*cannot delete a project with resources"):
        engine.delete(PROJECT, project, state)
    assert (project_of(digitalocean, first), project_of(digitalocean, second)) == (DEFAULT_PROJECT, project)
    engine.delete(PROJECT, project, engine.read(PROJECT, project))
    assert project_of(digitalocean, second) == DEFAULT_PROJECT


def test_reading_a_project_that_is_gone_says_that_it_is_gone(digitalocean_engine: EngineClient):
    project, _ = digitalocean_engine.create(PROJECT)
    digitalocean_engine.create(PROJECT_RESOURCES, project=project, resources=[])
    digitalocean_engine.delete(PROJECT, project)
    assert digitalocean_engine.read(PROJECT, project) is None
    assert digitalocean_engine.read(PROJECT_RESOURCES, project) is None


@pytest.mark.parametrize(("type_", "key"), [(DROPLET, "ipv4Address"), (BALANCER, "ip")])
def test_a_new_balancer_or_droplet_has_no_address_until_it_is_active(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str, type_: str, key: str
):
    balancer = {"region": "fra1", "vpcUuid": vpc, "forwardingRules": FORWARDING_RULES}
    id, outputs = digitalocean_engine.create(type_, **(droplet(vpc) if type_ == DROPLET else balancer))
    digitalocean.documents("droplet" if type_ == DROPLET else "load_balancer")[id]["status"] = "new"
    assert outputs[key] and (digitalocean_engine.read(type_, id) or {})[key] == ""


def test_a_reserved_ip_is_in_the_project_of_its_droplet_and_cannot_be_moved_while_it_has_one(
    digitalocean_engine: EngineClient, vpc: str
):
    engine = digitalocean_engine
    id, outputs = engine.create(DROPLET, **droplet(vpc))
    address = engine.create(RESERVED_IP, region="fra1")[1]
    assignment, _ = engine.create(ASSIGNMENT, dropletId=int(id), ipAddress=address["ipAddress"])
    project, _ = engine.create(PROJECT)
    engine.create(PROJECT_RESOURCES, project=project, resources=[outputs["dropletUrn"]])
    state = engine.read(PROJECT, project)
    assert state
    assert state["resources"] == sorted([outputs["dropletUrn"], address["reservedIpUrn"]])
    with pytest.raises(ProviderError, match="412 Cannot move a Reserved IP with an associated Droplet"):
        engine.delete(PROJECT, project, state)
    engine.delete(ASSIGNMENT, assignment)
    engine.delete(DROPLET, id)
    assert (engine.read(PROJECT, project) or {})["resources"] == [address["reservedIpUrn"]]
    engine.delete(PROJECT, project, state)


def test_a_project_takes_the_resources_of_its_inputs(
    digitalocean: SimulatedDigitalOcean, digitalocean_engine: EngineClient, vpc: str
):
    id, outputs = digitalocean_engine.create(DROPLET, **droplet(vpc))
    project, _ = digitalocean_engine.create(PROJECT, resources=[outputs["dropletUrn"]])
    assert project_of(digitalocean, id) == project


def test_an_update_moves_a_balancer_to_the_project_of_the_state_if_the_program_names_none(
    digitalocean_engine: EngineClient, vpc: str
):
    engine = digitalocean_engine
    inputs = {"name": "it", "vpcUuid": vpc, **BALANCER_INPUTS}
    id, outputs = engine.create(BALANCER, **inputs)
    project, _ = engine.create(PROJECT)
    engine.create(PROJECT_RESOURCES, project=project, resources=[outputs["loadBalancerUrn"]])
    assert (engine.read(BALANCER, id) or {})["projectId"] == project
    engine.update(BALANCER, id, olds=inputs, news={**inputs, "redirectHttpToHttps": True}, state=outputs)
    assert (engine.read(BALANCER, id) or {})["projectId"] == DEFAULT_PROJECT
