from __future__ import annotations

import subprocess

import pytest

from components.settings.env import MAX_BYTES, RESERVED, read


def mistake(name: str, value: object) -> str:
    variables, mistakes = read({name: value})
    assert not variables
    return "\n".join(mistakes)


def test_text_is_not_changed_and_whole_numbers_and_booleans_become_text():
    variables: dict[str, object] = {"A": ' x"$\\\n\t', "B": 3, "C": True, "EMPTY": "", "_u": "ü€"}
    assert read(variables) == ({"A": ' x"$\\\n\t', "B": "3", "C": "true", "EMPTY": "", "_u": "ü€"}, [])


@pytest.mark.parametrize("name", ["1A", "MY-KEY", "A B", "", "Ü", "A\n", "A=B"])
def test_an_invalid_name_is_refused_with_the_command_that_removes_it(name: str):
    assert "letters, digits and _" in mistake(name, "hunter2")
    assert "pulumi config rm --path 'env[" in mistake(name, "hunter2")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_variable_that_would_break_the_unit_is_refused_with_the_reason(name: str):
    text = mistake(name, "hunter2")
    assert text.startswith(f"env.{name}: this variable can't be set: {RESERVED[name]}")
    assert f"pulumi config rm --path env.{name}" in text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hunter2\0", "has a NUL"),
        ("hunter2\ud800", "isn't valid Unicode"),
        (1.5, "put it in quotes, or set it as text with: pulumi config set --path --type string env.TOKEN <value>"),
        (None, "isn't text"),
        (["hunter2"], "isn't text"),
        ({"a": "hunter2"}, "isn't text"),
        ("x" * MAX_BYTES, f"Linux takes at most {MAX_BYTES}"),
    ],
)
def test_the_error_for_an_invalid_value_doesnt_show_it(value: object, reason: str):
    text = mistake("TOKEN", value)
    assert text.startswith("env.TOKEN: ")
    assert reason in text
    assert "hunter2" not in text


@pytest.mark.parametrize("number", [15551234567, 12345678901234567000, -1234567890, 1234567890])
def test_a_number_that_pulumi_may_have_changed_is_refused_with_the_command_that_keeps_it(number: int):
    text = mistake("PHONE", number)
    assert f"a number of {len(str(abs(number)))} digits" in text
    assert "pulumi config set --path --type string env.PHONE <value>" in text
    assert str(number) not in text


def test_a_number_of_nine_digits_and_a_long_number_as_text_become_text():
    assert read({"A": 123456789, "B": -5, "C": "+15551234567"})[0] == {"A": "123456789", "B": "-5", "C": "+15551234567"}


def test_the_longest_value_that_linux_takes_is_accepted():
    value = "ü" * ((MAX_BYTES - len("TOKEN=")) // 2)
    assert read({"TOKEN": value}) == ({"TOKEN": value}, [])


def test_variables_that_are_too_long_together_are_refused():
    _, mistakes = read({f"V{number}": "x" * 100_000 for number in range(11)})
    assert [line for line in mistakes if "1100" in line and "files of the app" in line]


def test_bash_passes_every_other_variable_of_its_own_unchanged():
    names = subprocess.run(["/bin/bash", "-c", "compgen -v"], capture_output=True, text=True, check=True).stdout.split()
    variables = {name: "hunter2" for name in [*names, "SECONDS", "PROMPT_COMMAND", "REPLY"] if name not in RESERVED}
    env = {**variables, "PATH": "/usr/bin:/bin"}
    output = subprocess.run(["/bin/bash", "-c", "env -0"], env=env, capture_output=True, text=True, check=True).stdout
    received = dict(line.split("=", 1) for line in output.split("\0") if line)
    assert {name: received.get(name) for name in env} == env
