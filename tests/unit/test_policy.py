"""Each file in policy/ is one case: the declared resources, and the violations that its rule finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from gantry_policy.open_ports import is_anywhere
from gantry_policy.pack import RULES
from gantry_policy.rules import Resource, Stack
from gantry_policy.secrets import kinds_in_user_data, text_of

from components.server.user_data import Identity
from components.server.user_data import user_data as user_data_of
from tests.stack_settings import mistakes
from tools.setup.paths import ROOT

CASES = sorted((Path(__file__).parent / "policy").glob("*/*.yaml"))
BY_NAME = {rule.name: rule for rule in RULES}


def loaded(case: Path) -> dict[str, Any]:
    return yaml.safe_load(case.read_text())


def declared(resource: dict[str, Any]) -> Resource:
    uses = {key: frozenset(names) for key, names in resource.get("uses", {}).items()}
    return Resource(
        urn=resource["name"],
        type=resource["type"],
        name=resource["name"],
        props=resource["props"],
        uses=uses,
        protected=resource.get("protected", False),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}: {case.stem}")
def test_a_rule_finds_the_violations_that_its_case_expects(case: Path):
    content = loaded(case)
    stack = Stack([declared(resource) for resource in content["resources"]])
    violations = BY_NAME[case.parent.name].violations(stack)
    assert [{resource.name: message} for resource, message in violations] == content["violations"]


@pytest.mark.parametrize("name", BY_NAME)
def test_every_rule_has_a_description_and_cases_that_pass_and_that_fail(name: str):
    assert BY_NAME[name].description.endswith(".")
    outcomes = {bool(loaded(case)["violations"]) for case in CASES if case.parent.name == name}
    assert outcomes == {True, False}, "without both kinds of cases the rule may be unable to pass, or unable to fail"


def test_the_documentation_lists_every_rule_with_its_description_and_no_other():
    rows = [line for line in (ROOT / "docs/policy.md").read_text().splitlines() if line.startswith("| `")]
    assert rows == [f"| `{rule.name}` | {rule.description} |" for rule in RULES]


def test_no_two_rules_have_the_same_name():
    assert len(BY_NAME) == len(RULES)


def test_user_data_is_refused_from_one_byte_over_16_kib():
    rule = BY_NAME["aws-user-data-fits"]
    for size, violations in ((16384, 0), (16385, 1)):
        instance = Resource(urn="it", type="aws:ec2/instance:Instance", name="it", props={"userData": "#" * size})
        assert len(list(rule.violations(Stack([instance])))) == violations, size


@pytest.mark.parametrize(
    ("network", "anywhere"),
    [
        ("10.0.0.0/8", False),
        ("10.0.0.0/7", True),
        ("0.0.0.0/0", True),
        ("2001:db8::/32", False),
        ("2001:db8::/31", True),
        ("::/0", True),
        ("203.0.113.7", False),
    ],
)
def test_a_network_counts_as_anywhere_if_it_is_too_large_for_one_owner(network: str, anywhere: bool, tmp_path: Path):
    assert is_anywhere(network) is anywhere
    text = mistakes(tmp_path, target="aws", sshFrom=[network])
    assert ("sshFrom[0]" in text) is anywhere, "the setting and the policy pack disagree about this network"


def test_user_data_that_is_not_text_is_searched_for_secrets_too():
    assert kinds_in_user_data(text_of(b"\x00\xff AKIA" + b"7" * 16)) == ["an AWS access key"]


def test_gantrys_own_user_data_holds_no_secret_except_the_host_key_for_the_bootstrap():
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXkt\n-----END OPENSSH PRIVATE KEY-----\n"
    identity = Identity(
        hostname="web-0",
        public_key="ssh-ed25519 AAAA deploy",
        host_private_key=key,
        host_public_key="ssh-ed25519 BBBB",
    )
    user_data = user_data_of(identity)
    assert kinds_in_user_data(user_data) == []
    assert kinds_in_user_data(user_data.replace("ed25519_private", "ecdsa_private")) == ["a private key"]
