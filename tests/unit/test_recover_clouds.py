"""How each cloud is asked for what it has made unheard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components import naming
from tests.clouds.digitalocean import DigitalOcean as Account
from tests.clouds.digitalocean_api import TOKEN, answering
from tests.mocks import AWS, DIGITALOCEAN, SITE, build_stack
from tools.recover import asking, aws, digitalocean, state
from tools.recover.digitalocean import DigitalOcean
from tools.recover.state import Pending
from tools.setup.report import SetupError

MANY = {"servers": 2, "balancer": True, **SITE}
WAYS = {
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
    "given",
    [AWS, {**AWS, **SITE}, {**AWS, **MANY, "access_logs": True}, DIGITALOCEAN, {**DIGITALOCEAN, **MANY}],
)
def test_there_is_a_way_for_every_type_that_a_stack_can_have(given: dict[str, Any], tmp_path: Path):
    types = set(build_stack(tmp_path, **given).counts())
    assert types - WAYS[given["target"]] == set()


def test_names_tell_things_of_one_kind_apart(tmp_path: Path):
    cloud = build_stack(tmp_path, **{**AWS, **MANY})
    made = [
        (aws.TAGGED[each.type], each.inputs["tags"]["Name"]) for each in cloud.registrations if each.type in aws.TAGGED
    ]
    assert len(made) == len(set(made))


def test_what_has_the_tags_is_found_by_its_kind_and_name():
    answer = aws.Aws(
        tagged=[
            tagged(f"{EC2}:vpc/vpc-1", "prod"), tagged(f"{EC2}:subnet/subnet-1", "prod-0"),
            tagged(f"{EC2}:subnet/subnet-2", "prod-1"),
            tagged("arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/prod-1a2b3c4/0f", "prod-balancer"),
        ]
    )  # fmt: skip
    assert answer.candidates(pending("aws:ec2/subnet:Subnet", tags={"Name": "prod-1"})) == {"subnet-2"}
    balancer = pending("aws:lb/loadBalancer:LoadBalancer", tags={"Name": "prod-balancer"})
    assert answer.candidates(balancer) == {answer.tagged[-1]["arn"]}
    assert answer.candidates(pending("aws:ec2/subnet:Subnet", tags={"Name": "prod-2"})) == set()


def test_what_is_gone_though_it_is_still_listed_by_its_tags_is_neither_taken_in_nor_named():
    answer = aws.Aws(tagged=[tagged(f"{EC2}:instance/i-{n}", "prod-0") for n in (1, 2, 3)])
    assert answer.unverified({"i-3"}) == [(INSTANCE, "i-1"), (INSTANCE, "i-2")]
    there = answer.only({"i-2"})
    assert there.candidates(pending(INSTANCE, tags={"Name": "prod-0"})) == {"i-2"}
    assert there.strays(set()) == [f"{EC2}:instance/i-2"]


def test_a_rule_that_has_tags_may_be_of_either_way():
    answer = aws.Aws(tagged=[tagged(f"{EC2}:security-group-rule/sgr-1", "prod-out")])
    assert answer.unverified(set()) == [(EGRESS, "sgr-1"), (INGRESS, "sgr-1")]


def test_a_rule_is_found_by_its_group_and_what_it_admits():
    nothing = {"cidrIpv4": None, "cidrIpv6": None, "referencedSecurityGroupId": None}
    web = {**nothing, "ipProtocol": "tcp", "fromPort": 80, "toPort": 80, "referencedSecurityGroupId": "sg-2"}
    every = {**nothing, "ipProtocol": "-1", "fromPort": -1, "toPort": -1, "cidrIpv4": "0.0.0.0/0"}
    rules = [{"id": "sgr-1", "egress": True, **every}, {"id": "sgr-2", "egress": False, **web}]
    answer = aws.Aws(rules={"sg-1": [*rules, {"id": "sgr-3", "egress": True, **web}]})
    out = {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
    assert answer.candidates(pending(EGRESS, securityGroupId="sg-1", **out)) == {"sgr-1"}
    assert answer.candidates(pending(INGRESS, securityGroupId="sg-1", **out)) == set()
    given = {"ipProtocol": "tcp", "fromPort": 80.0, "toPort": 80.0, "referencedSecurityGroupId": "sg-2"}
    assert answer.candidates(pending(INGRESS, securityGroupId="sg-1", **given)) == {"sgr-2"}
    assert answer.candidates(pending(INGRESS, securityGroupId="sg-1", **{**given, "toPort": 81.0})) == set()
    assert answer.candidates(pending(INGRESS, securityGroupId="sg-2", **given)) == set()


def test_things_are_looked_up_by_the_providers_own_version_and_with_that_of_their_schema():
    asked = aws.Question(region="eu-central-1", version="7.51.1", tags={}, tables=[], groups=[], zones=[])
    provider, vpc = asking.resources(asked, [("aws:ec2/vpc:Vpc", "vpc-1")])
    assert provider["inputs"] == {"region": "eu-central-1", "version": "7.51.1"}
    assert vpc["provider"] == f"{provider['urn']}::{provider['id']}"
    assert (vpc["id"], vpc["outputs"]["id"], vpc["outputs"][state.META]) == ("vpc-1", "vpc-1", '{"schema_version":"1"}')


def test_a_way_to_a_subnet_is_found_in_its_route_table():
    answer = aws.Aws(associations={"rtb-1": {"subnet-1": "rtbassoc-1", "": "rtbassoc-0"}})
    assert answer.candidates(pending(aws.ASSOCIATION, routeTableId="rtb-1", subnetId="subnet-1")) == {"rtbassoc-1"}
    assert answer.candidates(pending(aws.ASSOCIATION, routeTableId="rtb-1", subnetId="subnet-2")) == set()


def test_a_record_of_route_53_is_found_only_where_it_leads_to_the_same():
    answer = aws.Aws(
        records={
            "Z1": [
                {"name": "example.org.", "type": "A", "records": [], "aliases": [{"name": "LB.example.net."}]},
                {"name": "www.example.org.", "type": "A", "records": ["198.18.0.1"], "aliases": []},
            ]
        }
    )
    alias = {"zoneId": "Z1", "name": "example.org", "type": "A", "aliases": [{"name": "lb.example.net"}]}
    assert answer.candidates(pending(aws.RECORD, **alias)) == {"Z1_example.org_A"}
    www = {"zoneId": "Z1", "name": "www.example.org", "type": "A"}
    assert answer.candidates(pending(aws.RECORD, **www, records=["198.18.0.1"])) == {"Z1_www.example.org_A"}
    assert answer.candidates(pending(aws.RECORD, **www, records=["198.18.0.2"])) == set()


def test_strays_are_of_types_of_ours():
    answer = aws.Aws(tagged=[tagged(f"{EC2}:volume/vol-1"), tagged(f"{EC2}:vpc/vpc-1"), tagged(f"{EC2}:vpc/vpc-2")])
    assert answer.strays({"vpc-2"}) == [f"{EC2}:vpc/vpc-1"]


def test_aws_is_asked_where_the_stacks_own_provider_works():
    tags = '{"tags": {"Stack": "prod"}}'
    old, new = (
        {"type": "pulumi:providers:aws", "inputs": {"region": region, "version": "7.51.1", "defaultTags": tags}}
        for region in ("eu-west-1", "eu-central-1")
    )
    waiting = [
        pending(aws.ASSOCIATION, routeTableId="rtb-1", subnetId="subnet-1"),
        *(pending(each, securityGroupId="sg-1") for each in aws.RULES),
    ]
    asked = aws.question({"resources": [{**old, "delete": True}, new]}, waiting)
    assert asked == aws.Question(
        region="eu-central-1", version="7.51.1", tags={"Stack": "prod"}, tables=["rtb-1"], groups=["sg-1"], zones=[]
    )
    assert aws.question({"resources": []}, []) is None


@pytest.fixture
def account() -> Account:
    account = Account()
    account.add("vpc", {"name": "prod-1a2b3c4"}, "v1")
    account.add("vpc", {"name": "prod-eu-1a2b3c4"}, "v2")
    account.add("ssh_key", {"name": "prod-0f0f0f0"}, "77")
    account.add("domain", {"name": "example.org"}, "example.org")
    for number, (kind, name) in enumerate((("A", "@"), ("A", "www"), ("TXT", "@"))):
        account.add("record", {"domain": "example.org", "type": kind, "name": name, "value": "198.18.0.1"}, str(number))
    account.add("reserved_ip", {"ipAddress": "198.18.0.9", "region": "fra1"}, "198.18.0.9")
    account.add("reserved_ip", {"ipAddress": "198.18.0.8", "region": "fra1", "dropletId": 5}, "198.18.0.8")
    account.add("reserved_ip", {"ipAddress": "198.18.0.7", "region": "ams3"}, "198.18.0.7")
    return account


@pytest.fixture
def asked(account: Account) -> Iterator[DigitalOcean]:
    # Small pages, so that there are several.
    with answering(account, page_size=1) as url:
        yield DigitalOcean(TOKEN, url)


def test_what_has_the_name_is_found_on_whatever_page(asked: DigitalOcean):
    assert asked.candidates(pending("digitalocean:index/vpc:Vpc", name="prod-eu-1a2b3c4")) == {"v2"}
    assert asked.candidates(pending("digitalocean:index/sshKey:SshKey", name="prod-0f0f0f0")) == {"77"}
    assert asked.candidates(pending("digitalocean:index/vpc:Vpc", name="prod-0000000")) == set()


def test_a_record_is_found_by_all_that_makes_it(asked: DigitalOcean):
    given = {"domain": "example.org", "type": "A", "value": "198.18.0.1"}
    assert asked.candidates(pending(digitalocean.RECORD, name="www", **given)) == {"1"}
    assert asked.candidates(pending(digitalocean.RECORD, **given)) == {"0"}


def test_of_reserved_addresses_those_that_lead_nowhere_are_told(asked: DigitalOcean):
    assert asked.candidates(pending(digitalocean.NAMELESS, region="fra1")) == set()
    assert asked.unassigned("fra1", set()) == ["198.18.0.9"]
    assert asked.unassigned("fra1", {"198.18.0.9"}) == []


def test_what_the_provider_fails_to_read_once_it_is_gone_is_lost(account: Account, asked: DigitalOcean):
    account.add("project", {"name": "prod-1a2b3c4"}, "p1")
    there = [
        {"type": digitalocean.PROJECT, "id": "p1"},
        {"type": digitalocean.ASSIGNMENT, "id": "it", "inputs": {"ipAddress": "198.18.0.9"}},
    ]
    gone = [
        {"type": digitalocean.PROJECT, "id": "p2"},
        {"type": digitalocean.ASSIGNMENT, "id": "it", "inputs": {"ipAddress": "198.18.0.1"}},
    ]
    assert asked.lost([*there, *gone, {"type": "digitalocean:index/vpc:Vpc", "id": "v9"}]) == gone


def test_strays_have_names_as_this_stacks_things_have(asked: DigitalOcean):
    assert asked.strays({"77"}, "prod") == ["vpcs v1 prod-1a2b3c4"]
    assert asked.strays({"77"}, "prod-eu") == ["vpcs v2 prod-eu-1a2b3c4"]


def test_neither_another_stacks_things_are_strays_nor_is_a_name_with_a_digest_overlooked(account: Account):
    account.add("vpc", {"name": "prod-1-1a2b3c4"}, "v3")
    droplet = f"{naming.label('prod.eu-1')}-1a2b3c4"
    account.add("droplet", {"name": droplet}, "5")
    with answering(account) as url:
        asked = DigitalOcean(TOKEN, url)
        assert asked.strays({"77", "v1"}, "prod") == []
        assert asked.strays(set(), "prod.eu") == [f"droplets 5 {droplet}"]


def test_what_digitalocean_refuses_is_said(account: Account):
    with answering(account) as url, pytest.raises(SetupError, match="DigitalOcean answers 401 to"):
        DigitalOcean("wrong", url).strays(set(), "prod")
    with answering(account) as url, pytest.raises(SetupError, match="DigitalOcean answers 404 to"):
        DigitalOcean(TOKEN, url).candidates(pending(digitalocean.RECORD, domain="other.org", type="A", value="1"))
    with pytest.raises(SetupError, match="DigitalOcean can't be asked"):
        DigitalOcean(TOKEN, url).strays(set(), "prod")
