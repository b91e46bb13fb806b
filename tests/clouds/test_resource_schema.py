"""Which inputs a simulated provider accepts, and which differences between two inputs are a change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clouds.resource_schema import DEFAULTS, NameInput, ResourceSchema
from tools.offline.command_plugin.values import UNKNOWN, Properties

SCHEMA = ResourceSchema(
    inputs={
        "name": str, "region": str, "limit": int, "ports": [int], "key": str, "idle": int,
        "check": {"path": str, "port!": int, "interval": int}, "disk": {"size": int, "encrypted": bool},
        "rules": [{"port!": int, "addresses": [str], "note": str}],
    },
    replaces=("region", "disk.encrypted"),
    name=NameInput(),
    computed=("idle", "check", "check.interval", "rules.note"),
    sets=("rules", "rules.addresses"),
    spellings={"key": str.strip},
    defaults={"region": "fra1", "limit": 60, "disk.size": 8, "rules.addresses": ["::/0"]},
    rules={"rules.port": lambda port: None if port < 65536 else f"expected a port, got {port:g}"},
)  # fmt: skip


def rule(port: int, *addresses: str) -> dict[str, Any]:
    return {"port": port, "addresses": [*addresses]}


@pytest.mark.parametrize(
    ("olds", "news", "changes"),
    [
        pytest.param({"idle": 60}, {}, [], id="a computed input is taken away"),
        pytest.param({"check": {"port": 80}}, {}, [], id="a computed object is taken away"),
        pytest.param({"check": {"port": 80, "interval": 9}}, {"check": {"port": 80}}, [], id="a computed field"),
        pytest.param({"check": {"port": 80, "path": "/"}}, {"check": {"port": 80}}, ["check"], id="another field"),
        pytest.param({"idle": 60}, {"idle": 61}, ["idle"], id="a computed input has another value"),
        pytest.param({"key": "a"}, {}, ["key"], id="an input that isn't computed is taken away"),
        pytest.param({"rules": [rule(1), rule(2)]}, {"rules": [rule(2), rule(1)]}, [], id="another order of a set"),
        pytest.param({"rules": [rule(1, "a", "b")]}, {"rules": [rule(1, "b", "a")]}, [], id="a set in a set"),
        pytest.param({"rules": [rule(1, "a", "a")] * 2}, {"rules": [rule(1, "a")]}, [], id="a repetition in a set"),
        pytest.param(
            {"rules": [rule(1), {**rule(2), "note": "n"}]},
            {"rules": [rule(2), rule(1)]},
            [],
            id="a computed field in a set",
        ),
        pytest.param(
            {"rules": [{**rule(1), "note": "n"}]},
            {"rules": [rule(2)]},
            ["rules"],
            id="a computed field of another element",
        ),
        pytest.param(
            {"rules": [{**rule(1), "note": "n"}]},
            {"rules": [{**rule(1), "note": "m"}]},
            ["rules"],
            id="another value of a computed field in a set",
        ),
        pytest.param({"rules": [rule(1, "a")]}, {"rules": [rule(1, "b")]}, ["rules"], id="another element of a set"),
        pytest.param({"ports": [1, 2]}, {"ports": [2, 1]}, ["ports"], id="another order of a list"),
        pytest.param({"key": "a"}, {"key": "a\n"}, [], id="another spelling"),
        pytest.param({"key": "a"}, {"key": UNKNOWN}, ["key"], id="an unknown value"),
        pytest.param({}, {"region": "fra1", "limit": 60.0}, [], id="a default that an earlier double's state lacks"),
    ],
)
def test_a_difference_is_a_change_where_the_schema_says_so(
    olds: dict[str, Any], news: dict[str, Any], changes: list[str]
):
    assert SCHEMA.diff(olds, news) == (changes, [])


def test_a_change_of_one_field_replaces_the_resource_and_a_change_of_its_neighbour_does_not():
    olds: Properties = {"disk": {"size": 8, "encrypted": True}}
    assert SCHEMA.diff(olds, {"disk": {"size": 9, "encrypted": True}}) == (["disk"], [])
    assert SCHEMA.diff(olds, {"disk": {"size": 8, "encrypted": False}}) == (["disk"], ["disk"])
    assert SCHEMA.diff(olds, {"disk": {"size": 8}}) == (["disk"], ["disk"])


def test_a_check_adds_defaults_and_a_name_and_lists_them():
    inputs, mistakes = SCHEMA.check("web", {}, {"idle": 60})
    assert not mistakes
    assert (inputs["region"], inputs["limit"], inputs[DEFAULTS]) == ("fra1", 60, ["limit", "name", "region"])
    assert str(inputs["name"]).startswith("web-")
    inputs, _ = SCHEMA.check("web", inputs, {"name": "mine", "region": "ams3", "limit": 9})
    assert inputs == {"name": "mine", "region": "ams3", "limit": 9}


def test_a_check_adds_the_default_of_a_field_only_where_its_object_is():
    inputs, _ = SCHEMA.check("web", {}, {"disk": {"encrypted": True}, "rules": [{"port": 80}, rule(443, "10.0.0.0/8")]})
    assert inputs["disk"] == {"encrypted": True, "size": 8}
    assert inputs["rules"] == [rule(80, "::/0"), rule(443, "10.0.0.0/8")]
    assert inputs[DEFAULTS] == ["limit", "name", "region"]


def test_a_check_names_each_value_that_breaks_a_rule_and_none_that_is_unknown():
    _, mistakes = SCHEMA.check("web", {}, {"rules": [rule(80), rule(70000), {"port": UNKNOWN}]})
    assert [(mistake.property, mistake.reason) for mistake in mistakes] == [
        ("rules.port", "expected a port, got 70000")
    ]


def test_a_computed_value_of_the_state_stays_where_the_program_leaves_it_out():
    assert SCHEMA.completed({"idle": 60, "check": {"port": 80, "interval": 9}}, {"check": {"port": 81}}) == {
        "idle": 60,
        "check": {"port": 81, "interval": 9},
    }
