"""What bin/pulumi passes to the engine, so that variables of the app stay as they were typed."""

from __future__ import annotations

import shlex

import pytest

from tools.setup import env_values


def lines(line: str) -> list[str]:
    return [shlex.join(command) for command in env_values.commands(shlex.split(line))]


@pytest.mark.parametrize(
    ("typed", "run"),
    [
        ("config set --path env.X +1", "config set --type=string --path env.X +1"),
        ("config set env.X --path", "config set --type=string env.X --path"),
        ("-s dev config --cwd /a set --path env.X 1", "-s dev config --cwd /a set --type=string --path env.X 1"),
        ("config set --path gantry:env.X 1", "config set --type=string --path gantry:env.X 1"),
        ("""config set --path 'env["X"]' 1""", """config set --type=string --path 'env["X"]' 1"""),
        ("""config set --path '["env"].X' 1""", """config set --type=string --path '["env"].X' 1"""),
        ("config set --path -- env.X -5", "config set --type=string --path -- env.X -5"),
        ("config set --path --plaintext env.X +1", "config set --type=string --path env.X +1"),
    ],
)
def test_a_variable_is_set_as_text(typed: str, run: str):
    assert lines(typed) == [run]


@pytest.mark.parametrize(
    "line",
    [
        "config set --path --type int env.X 1",
        "config set --path env.X 1 --type=int",
        "config set --path --secret env.X +1",  # a secret is always text, and the engine refuses both flags
        "config set --path --plaintext env.X text-like-a-secret",
        "config set --path --plaintext env.X",
        "config set --path processes.worker 2",
        "config set --path environment.X 2",
        "config set --path aws:env.X 2",
        "config set env.X 2",
        "config set --path=false env.X 2",
        "config set --path",
        "config get --path env.X",
        "config set-all --json '{}'",
        "config set-all --path --plaintext env.X=text --secret env.Y=+1 --plaintext processes.worker=2",
        "config set-all --plaintext env.X=+1",
        "up --yes",
        "",
    ],
)
def test_every_other_command_line_stays_as_it_is(line: str):
    assert lines(line) == [shlex.join(shlex.split(line))]


def test_numbers_of_set_all_are_set_one_by_one_with_the_same_options_before_the_others():
    typed = (
        "config set-all --path -s dev --plaintext env.X=+1 --secret=env.Y=+2 --plaintext env.A=b=c --plaintext env.Z=03"
    )
    assert lines(typed) == [
        "config set -s dev --path --type=string -- env.X +1",
        "config set -s dev --path --type=string -- env.Z 03",
        "config set-all --path -s dev --secret env.Y=+2 --plaintext env.A=b=c",
    ]


def test_if_set_all_has_only_numbers_of_env_nothing_is_left_for_it():
    assert lines("config set-all --path --plaintext env.X=+1") == ["config set --path --type=string -- env.X +1"]
