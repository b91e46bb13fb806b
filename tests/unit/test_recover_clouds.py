"""How `make recover` finds resources that a cloud created but Pulumi didn't record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components import naming
from tests.clouds.digitalocean import SimulatedDigitalOcean as SimulatedAccount
from tests.clouds.digitalocean_api import TOKEN, serve_api
from tests.mocks import AWS, DIGITALOCEAN, SITE, build_stack
from tools.recover import aws, aws_lookup, digitalocean, state
from tools.recover.digitalocean import DigitalOcean
from tools.recover.state import Pending
from tools.setup.report import SetupError

MANY = {"servers": 2, "balancer": True, **SITE}
TYPES_WITH_A_WAY = {
    "aws": {*aws.TAGGED, *aws.RULES, *aws.NAMED, aws.ASSOCIATION, aws.RECORD, *aws.REPEATABLE},
    "digitalocean": {
        *digitalocean.LISTED,
        *digitalocean.NAMED,
        *digitalocean.REPEATABLE,
        digitalocean.RECORD,
        digitalocean.NAMELESS,
    },
}
INSTANCE = "aws:ec2/instance:Instance"
EGRESS, INGRESS = aws.RULES
EC2 = "arn:aws:ec2:eu-central-1:1"


def pending(type_: str, **inputs: Any) -> Pending:
    return Pending({"urn": f"urn:pulumi:prod::gantry::{type_}::it", "type": type_, "inputs": inputs})


def tagged(arn: str, name: str | None = None) -> dict[str, Any]:
    return {"arn": arn, "tags": {"Stack": "prod", **({"Name": name} if name else {})}}


@pytest.mark.parametrize(
    "stack_settings",
    [
        AWS,
        {**AWS, **SITE},
        {**AWS, "storage": 20},
        {**AWS, **MANY, "access_logs": True},
        DIGITALOCEAN,
        {**DIGITALOCEAN, "storage": 20},
        {**DIGITALOCEAN, **MANY},
    ],
)
def test_every_type_that_a_stack_can_have_is_found_in_some_way(stack_settings: dict[str, Any], tmp_path: Path):
    types = set(build_stack(tmp_path, **stack_settings).counts())
    assert types - TYPES_WITH_A_WAY[stack_settings["target"]] == set()


def test_no_two_tagged_resources_of_one_kind_have_the_same_name(tmp_path: Path):
    cloud = build_stack(tmp_path, **{**AWS, **MANY})
    tagged_resources = [resource for resource in cloud.registrations if resource.type in aws.TAGGED]
    names_by_kind = [(aws.TAGGED[resource.type], resource.inputs["tags"]["Name"]) for resource in tagged_resources]
    assert len(names_by_kind) == len(set(names_by_kind))


def test_a_tagged_resource_is_found_by_its_kind_and_name():
    inventory = aws.Inventory(
        tagged=[
            tagged(f"{EC2}:vpc/vpc-1", "prod"), tagged(f"{EC2}:subnet/subnet-1", "prod-0"),
            tagged(f"{EC2}:subnet/subnet-2", "prod-1"),
            tagged("arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/prod-1a2b3c4/0f", "prod-balancer"),
        ]
    )  # fmt: skip
    assert inventory.candidates(pending("aws:ec2/subnet:Subnet", tags={"Name": "prod-1"})) == {"subnet-2"}
    balancer = pending("aws:lb/loadBalancer:LoadBalancer", tags={"Name": "prod-balancer"})
    assert inventory.candidates(balancer) == {inventory.tagged[-1]["arn"]}
    assert inventory.candidates(pending("aws:ec2/subnet:Subnet", tags={"Name": "prod-2"})) == set()


def test_a_deleted_resource_that_aws_still_lists_is_neither_a_candidate_nor_reported():
    inventory = aws.Inventory(tagged=[tagged(f"{EC2}:instance/i-{n}", "prod-0") for n in (1, 2, 3)])
    assert inventory.possibly_deleted({"i-3"}) == [(INSTANCE, "i-1"), (INSTANCE, "i-2")]
    existing = inventory.only({"i-2"})
    assert existing.candidates(pending(INSTANCE, tags={"Name": "prod-0"})) == {"i-2"}
    assert existing.untracked(set()) == [f"{EC2}:instance/i-2"]


def test_a_tagged_rule_may_be_of_either_direction():
    inventory = aws.Inventory(tagged=[tagged(f"{EC2}:security-group-rule/sgr-1", "prod-out")])
    assert inventory.possibly_deleted(set()) == [(EGRESS, "sgr-1"), (INGRESS, "sgr-1")]


def test_a_rule_is_found_by_its_group_and_what_it_allows():
    no_source = {"cidrIpv4": None, "cidrIpv6": None, "referencedSecurityGroupId": None}
    web = {**no_source, "ipProtocol": "tcp", "fromPort": 80, "toPort": 80, "referencedSecurityGroupId": "sg-2"}
    all_traffic = {**no_source, "ipProtocol": "-1", "fromPort": -1, "toPort": -1, "cidrIpv4": "0.0.0.0/0"}
    rules = [{"id": "sgr-1", "egress": True, **all_traffic}, {"id": "sgr-2", "egress": False, **web}]
    inventory = aws.Inventory(rules={"sg-1": [*rules, {"id": "sgr-3", "egress": True, **web}]})
    out = {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
    assert inventory.candidates(pending(EGRESS, securityGroupId="sg-1", **out)) == {"sgr-1"}
    assert inventory.candidates(pending(INGRESS, securityGroupId="sg-1", **out)) == set()
    http = {"ipProtocol": "tcp", "fromPort": 80.0, "toPort": 80.0, "referencedSecurityGroupId": "sg-2"}
    assert inventory.candidates(pending(INGRESS, securityGroupId="sg-1", **http)) == {"sgr-2"}
    assert inventory.candidates(pending(INGRESS, securityGroupId="sg-1", **{**http, "toPort": 81.0})) == set()
    assert inventory.candidates(pending(INGRESS, securityGroupId="sg-2", **http)) == set()


def test_a_lookup_uses_the_version_of_the_stacks_provider_and_gives_each_resource_its_schema_version():
    query = aws.Query(region="eu-central-1", version="7.51.1", tags={}, tables=[], groups=[], zones=[])
    provider, vpc = aws_lookup.resources(query, [("aws:ec2/vpc:Vpc", "vpc-1")])
    assert provider["inputs"] == {"region": "eu-central-1", "version": "7.51.1"}
    assert vpc["provider"] == f"{provider['urn']}::{provider['id']}"
    assert (vpc["id"], vpc["outputs"]["id"], vpc["outputs"][state.META]) == ("vpc-1", "vpc-1", '{"schema_version":"1"}')


def test_a_route_table_association_is_found_by_its_subnet():
    inventory = aws.Inventory(associations={"rtb-1": {"subnet-1": "rtbassoc-1", "": "rtbassoc-0"}})
    assert inventory.candidates(pending(aws.ASSOCIATION, routeTableId="rtb-1", subnetId="subnet-1")) == {"rtbassoc-1"}
    assert inventory.candidates(pending(aws.ASSOCIATION, routeTableId="rtb-1", subnetId="subnet-2")) == set()


def test_a_route_has_the_id_that_the_provider_makes_of_its_table_and_destination():
    route = pending("aws:ec2/route:Route", routeTableId="rtb-1", destinationCidrBlock="0.0.0.0/0")
    assert aws.Inventory().candidates(route) == {"r-rtb-11080289494"}


def test_a_record_of_route_53_is_found_only_if_it_has_the_same_values():
    inventory = aws.Inventory(
        records={
            "Z1": [
                {"name": "example.org.", "type": "A", "records": [], "aliases": [{"name": "LB.example.net."}]},
                {"name": "www.example.org.", "type": "A", "records": ["198.18.0.1"], "aliases": []},
            ]
        }
    )
    alias = {"zoneId": "Z1", "name": "example.org", "type": "A", "aliases": [{"name": "lb.example.net"}]}
    assert inventory.candidates(pending(aws.RECORD, **alias)) == {"Z1_example.org_A"}
    www = {"zoneId": "Z1", "name": "www.example.org", "type": "A"}
    assert inventory.candidates(pending(aws.RECORD, **www, records=["198.18.0.1"])) == {"Z1_www.example.org_A"}
    assert inventory.candidates(pending(aws.RECORD, **www, records=["198.18.0.2"])) == set()


def test_untracked_resources_are_only_of_kinds_that_gantry_creates():
    inventory = aws.Inventory(
        tagged=[tagged(f"{EC2}:network-interface/eni-1"), tagged(f"{EC2}:vpc/vpc-1"), tagged(f"{EC2}:vpc/vpc-2")]
    )
    assert inventory.untracked({"vpc-2"}) == [f"{EC2}:vpc/vpc-1"]


def test_the_query_has_the_region_of_the_stacks_own_provider():
    tags = '{"tags": {"Stack": "prod"}}'
    old, new = (
        {"type": "pulumi:providers:aws", "inputs": {"region": region, "version": "7.51.1", "defaultTags": tags}}
        for region in ("eu-west-1", "eu-central-1")
    )
    creates = [
        pending(aws.ASSOCIATION, routeTableId="rtb-1", subnetId="subnet-1"),
        *(pending(type_, securityGroupId="sg-1") for type_ in aws.RULES),
    ]
    query = aws.query_for({"resources": [{**old, "delete": True}, new]}, creates)
    assert query == aws.Query(
        region="eu-central-1", version="7.51.1", tags={"Stack": "prod"}, tables=["rtb-1"], groups=["sg-1"], zones=[]
    )
    assert aws.query_for({"resources": []}, []) is None


@pytest.fixture
def simulated_account() -> SimulatedAccount:
    simulated_account = SimulatedAccount()
    simulated_account.add("vpc", {"name": "prod-1a2b3c4"}, "v1")
    simulated_account.add("vpc", {"name": "prod-eu-1a2b3c4"}, "v2")
    simulated_account.add("ssh_key", {"name": "prod-0f0f0f0"}, "77")
    simulated_account.add("domain", {"name": "example.org"}, "example.org")
    for number, (kind, name) in enumerate((("A", "@"), ("A", "www"), ("TXT", "@"))):
        simulated_account.add(
            "record", {"domain": "example.org", "type": kind, "name": name, "value": "198.18.0.1"}, str(number)
        )
    simulated_account.add("reserved_ip", {"ipAddress": "198.18.0.9", "region": "fra1"}, "198.18.0.9")
    simulated_account.add("reserved_ip", {"ipAddress": "198.18.0.8", "region": "fra1", "dropletId": 5}, "198.18.0.8")
    simulated_account.add("reserved_ip", {"ipAddress": "198.18.0.7", "region": "ams3"}, "198.18.0.7")
    return simulated_account


@pytest.fixture
def account(simulated_account: SimulatedAccount) -> Iterator[DigitalOcean]:
    # One entry per page, so that a list has several pages.
    with serve_api(simulated_account, page_size=1) as url:
        yield DigitalOcean(TOKEN, url)


def test_a_resource_is_found_by_its_name_on_any_page(account: DigitalOcean):
    assert account.candidates(pending("digitalocean:index/vpc:Vpc", name="prod-eu-1a2b3c4")) == {"v2"}
    assert account.candidates(pending("digitalocean:index/sshKey:SshKey", name="prod-0f0f0f0")) == {"77"}
    assert account.candidates(pending("digitalocean:index/vpc:Vpc", name="prod-0000000")) == set()


def test_a_record_is_found_by_its_type_name_and_value(account: DigitalOcean):
    inputs = {"domain": "example.org", "type": "A", "value": "198.18.0.1"}
    assert account.candidates(pending(digitalocean.RECORD, name="www", **inputs)) == {"1"}
    assert account.candidates(pending(digitalocean.RECORD, **inputs)) == {"0"}


def test_a_reserved_ip_is_no_candidate_but_is_listed_if_it_has_no_droplet(account: DigitalOcean):
    assert account.candidates(pending(digitalocean.NAMELESS, region="fra1")) == set()
    assert account.unassigned("fra1", set()) == ["198.18.0.9"]
    assert account.unassigned("fra1", {"198.18.0.9"}) == []


def test_an_assignment_that_the_provider_fails_to_read_or_to_delete_is_missing(account: DigitalOcean):
    existing = [{"type": digitalocean.ASSIGNMENT, "id": "it", "inputs": {"ipAddress": "198.18.0.8"}}]
    deleted = [
        {"type": digitalocean.ASSIGNMENT, "id": "it", "inputs": {"ipAddress": "198.18.0.1"}},
        # It exists, and has no droplet.
        {"type": digitalocean.ASSIGNMENT, "id": "it", "inputs": {"ipAddress": "198.18.0.9"}},
    ]
    assert account.missing([*existing, *deleted, {"type": "digitalocean:index/vpc:Vpc", "id": "v9"}]) == deleted


@pytest.mark.parametrize(
    ("status", "message"), [("new", "has no address after 0:00"), ("errored", "has failed in DigitalOcean")]
)
def test_a_balancer_that_does_not_become_active_is_not_adopted(
    simulated_account: SimulatedAccount,
    account: DigitalOcean,
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: str,
    message: str,
):
    monkeypatch.setattr(digitalocean, "ACTIVATION_SECONDS", 0)
    monkeypatch.setattr(digitalocean, "PAUSE_SECONDS", 0.01)
    simulated_account.add("load_balancer", {"name": "prod-balancer-0123456", "status": status}, "b-1")
    with pytest.raises(SetupError, match=rf"LoadBalancer it, b-1, {message}.*\. Nothing was added to the state"):
        account.wait_until_active(pending("digitalocean:index/loadBalancer:LoadBalancer"), "b-1")
    account.wait_until_active(pending("digitalocean:index/vpc:Vpc"), "v-1")


def test_untracked_resources_have_names_that_this_stack_gives(account: DigitalOcean):
    assert account.untracked({"77"}, "prod") == ["vpcs v1 prod-1a2b3c4"]
    assert account.untracked({"77"}, "prod-eu") == ["vpcs v2 prod-eu-1a2b3c4"]


def test_another_stacks_resources_are_not_untracked_but_a_name_with_a_digest_is(simulated_account: SimulatedAccount):
    simulated_account.add("vpc", {"name": "prod-1-1a2b3c4"}, "v3")
    droplet = f"{naming.label('prod.eu-1')}-1a2b3c4"
    simulated_account.add("droplet", {"name": droplet, "status": "active"}, "5")
    with serve_api(simulated_account) as url:
        account = DigitalOcean(TOKEN, url)
        assert account.untracked({"77", "v1"}, "prod") == []
        assert account.untracked(set(), "prod.eu") == [f"droplets 5 {droplet}"]


def test_an_error_of_digitalocean_is_reported(simulated_account: SimulatedAccount):
    with serve_api(simulated_account) as url, pytest.raises(SetupError, match="DigitalOcean answered 401 to"):
        DigitalOcean("wrong", url).untracked(set(), "prod")
    with serve_api(simulated_account) as url, pytest.raises(SetupError, match="DigitalOcean answered 404 to"):
        DigitalOcean(TOKEN, url).candidates(pending(digitalocean.RECORD, domain="other.org", type="A", value="1"))
    with pytest.raises(SetupError, match="DigitalOcean can't be reached"):
        DigitalOcean(TOKEN, url).untracked(set(), "prod")
