"""Each file in policy/ is one case: what is declared, and what its rule says to that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from gantry_policy.opening import is_anywhere
from gantry_policy.pack import RULES
from gantry_policy.rule import Resource, Stack
from gantry_policy.secret import kinds_in_user_data, text_of

from components import clouds, manifest
from tools.setup.paths import ROOT

CASES = sorted((Path(__file__).parent / "policy").glob("*/*.yaml"))
BY_NAME = {rule.name: rule for rule in RULES}


def loaded(case: Path) -> dict[str, Any]:
    return yaml.safe_load(case.read_text())


def declared(given: dict[str, Any]) -> Resource:
    uses = {key: frozenset(names) for key, names in given.get("uses", {}).items()}
    return Resource(urn=given["name"], type=given["type"], name=given["name"], props=given["props"], uses=uses)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}: {case.stem}")
def test_a_rule_says_what_its_case_expects(case: Path):
    given = loaded(case)
    stack = Stack([declared(each) for each in given["resources"]])
    found = BY_NAME[case.parent.name].violations(stack)
    assert [{resource.name: message} for resource, message in found] == given["violations"]


@pytest.mark.parametrize("name", BY_NAME)
def test_every_rule_has_a_promise_and_cases_that_keep_and_that_break_it(name: str):
    assert BY_NAME[name].promise.endswith(".")
    outcomes = {bool(loaded(case)["violations"]) for case in CASES if case.parent.name == name}
    assert outcomes == {True, False}, "a rule without such a case may be one that can't pass, or can't fail"


def test_the_documentation_lists_every_rule_with_its_promise_and_no_other():
    rows = [line for line in (ROOT / "docs/policy.md").read_text().splitlines() if line.startswith("| `")]
    assert rows == [f"| `{rule.name}` | {rule.promise} |" for rule in RULES]


def test_no_two_rules_have_one_name():
    assert len(BY_NAME) == len(RULES)


def test_user_data_of_more_than_16_kib_is_refused_at_the_first_byte():
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
def test_a_network_is_anywhere_when_nobodys_own_is_as_wide(network: str, anywhere: bool):
    assert is_anywhere(network) is anywhere
    _, mistakes = clouds.ssh_from([network])
    assert bool(mistakes) is anywhere, "the setting takes what the pack refuses, or the other way round"


def test_user_data_that_is_no_text_is_searched_all_the_same():
    assert kinds_in_user_data(text_of(b"\x00\xff AKIA" + b"7" * 16)) == ["an AWS access key"]


def test_our_own_user_data_holds_nothing_but_the_host_key_of_the_first_contact():
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXkt\n-----END OPENSSH PRIVATE KEY-----\n"
    user_data = manifest.user_data("web-0", "ssh-ed25519 AAAA deploy", key, "ssh-ed25519 BBBB")
    assert kinds_in_user_data(user_data) == []
    assert kinds_in_user_data(user_data.replace("ed25519_private", "ecdsa_private")) == ["a private key"]
