from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import fleet
from components.app.source import Release
from components.errors import UserError
from components.settings.env import MAX_BYTES, MAX_TOTAL_BYTES
from components.variables import Variable, combined
from tests.mocks import Recorder, is_secret, run_program
from tests.stack_settings import make_settings


def texts(from_program: dict[str, Any], from_settings: dict[str, str] | None = None) -> dict[str, str]:
    """The combined variables of a program without resources."""
    return run_program(lambda: combined(from_settings or {}, from_program)).output


def error(from_program: dict[str, Any], from_settings: dict[str, str] | None = None) -> str:
    with pytest.raises(UserError) as info:
        texts(from_program, from_settings)
    return str(info.value)


def build(folder: Path, variables: dict[str, Variable], **settings: Any) -> Recorder:
    tarball = folder / "app.tar"
    tarball.write_text("app")

    def program() -> pulumi.Output[Any]:
        release = Release(name="3f2a91c0ffee", tarball=tarball)
        return fleet.build("dev", make_settings(**settings), release, generated=folder, env=variables).release

    return run_program(program, stack="dev")


def test_outputs_of_resources_reach_the_app_beside_the_variables_of_the_settings():
    later = pulumi.Output.from_input(5432.0)
    assert texts({"PORT_OF_DB": later, "BUCKET": pulumi.Output.from_input("shop-0a1b")}, {"COLOUR": "red"}) == {
        "COLOUR": "red",
        "BUCKET": "shop-0a1b",
        "PORT_OF_DB": "5432",
    }


def test_every_command_that_starts_the_app_gets_the_variables_as_a_secret(tmp_path: Path):
    variables: dict[str, Variable] = {"BUCKET": pulumi.Output.secret("hunter2")}
    recorder = build(tmp_path, variables, servers=2, balancer=True, env={"COLOUR": "red"})
    for name in ("dev-0-prepare", "dev-1-prepare", "dev-0-release", "dev-1-release", "dev-0-confirm"):
        stdin = recorder.custom(name).inputs["stdin"]
        assert is_secret(stdin)
        sent = json.loads(stdin["value"])["variables"]
        assert sent == {"RELEASE": "3f2a91c0ffee", "GANTRY_STACK": "dev", "COLOUR": "red", "BUCKET": "hunter2"}


def test_a_name_that_the_settings_have_too_is_refused_with_the_command_that_removes_it():
    text = error({"DATABASE_URL": "postgres://hunter2"}, {"DATABASE_URL": "postgres://hunter3"})
    assert "DATABASE_URL: the stack's settings have this variable, too" in text
    assert "pulumi config rm --path env.DATABASE_URL" in text
    assert "hunter" not in text


def test_all_names_that_cannot_be_a_variables_are_refused_together():
    text = error({"PORT": 5432, "MY-KEY": "x", "GOOD": "x"})
    assert "PORT: this variable can't be set: Gantry sets it" in text
    assert "MY-KEY: a variable's name has letters, digits and _" in text
    assert "GOOD" not in text


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (
            pulumi.Output.from_input({"A": "x"}),
            "it has the type Output, and must be a dict of names to texts or outputs",
        ),
        ("A=hunter2", "it has the type str, and must be a dict"),
        ({1: "hunter2"}, "1: a variable's name is a text"),
        ({"": "hunter2"}, "an empty name: a variable's name has letters"),
    ],
)
def test_what_isnt_a_map_of_names_is_refused(env: Any, reason: str):
    text = error(env)
    assert reason in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hunter2\0", "NUL"),
        (
            f"{pulumi.Output.from_input('hunter2')}!",
            "an output became part of a text before it was known: write pulumi.Output.format",
        ),
        (2.0**60, "a number above 9007199254740991, which may have lost digits"),
        (None, "its value has the type NoneType, and a variable is a text"),
        (["hunter2"], "its value has the type list"),
        (1.5, "its value has the type float"),
        ("hunter2" * MAX_BYTES, f"Linux takes at most {MAX_BYTES}"),
    ],
)
def test_a_value_that_cannot_be_a_variable_ends_the_program_without_being_shown(value: Any, reason: str):
    text = error({"TOKEN": pulumi.Output.from_input(value)})
    assert "TOKEN: " in text
    assert reason in text
    assert "hunter2" not in text


def test_variables_of_settings_and_program_are_limited_together():
    count = MAX_TOTAL_BYTES // MAX_BYTES // 2 + 1
    half = {f"A{number}": "x" * (MAX_BYTES - 10) for number in range(count)}
    assert len(texts(half)) == count
    other_half = {f"B{number}": "x" * (MAX_BYTES - 10) for number in range(count)}
    assert f"a program takes at most {MAX_TOTAL_BYTES}" in error(half, other_half)
