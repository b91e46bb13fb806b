"""The output and the log of local and remote commands, which must be the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import plugin_pb2

from tests.plugin.client import LOCAL, REMOTE, Plugin, secret

# Makes the inputs of a command from its script and other inputs.
Inputs = Callable[..., dict[str, Any]]


@pytest.fixture(params=[LOCAL, REMOTE])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def inputs(kind: str, request: pytest.FixtureRequest) -> Inputs:
    connection = {"connection": secret(request.getfixturevalue("sshd").connection())} if kind == REMOTE else {}
    return lambda script, **others: {**connection, "create": script, **others}


@pytest.mark.parametrize(
    ("logging", "logged"),
    [
        (None, {"out", "err"}),
        ("stdoutAndStderr", {"out", "err"}),
        ("stdout", {"out"}),
        ("stderr", {"err"}),
        ("none", set[str]()),
    ],
)
def test_logging_chooses_the_logged_streams_and_the_state_has_both(
    plugin: Plugin, kind: str, inputs: Inputs, logging: str | None, logged: set[str]
) -> None:
    others = {"logging": logging} if logging else {}
    state = plugin.create(kind, inputs("echo out; echo err >&2", **others)).state
    assert set(plugin.logged(kind).split()) == logged
    assert (state["stdout"], state["stderr"]) == ("out", "err")


def test_each_line_is_logged_when_it_is_printed(plugin: Plugin, kind: str, inputs: Inputs, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    script = f"echo first; while [ ! -e '{go_on}' ]; do sleep 0.05; done; printf last"
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(plugin.create, kind, inputs(script))
        first = plugin.log.wait_for("first")
        assert not creating.done()
        assert (first.severity, first.ephemeral) == ("INFO", True)
        go_on.touch()
        assert creating.result().state["stdout"] == "first\nlast"
    assert plugin.logged(kind) == "first\nlast"


def test_a_line_longer_than_64_kib_is_logged(
    offline_plugin_only: None, plugin: Plugin, kind: str, inputs: Inputs
) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo after"
    assert len(plugin.create(kind, inputs(script)).state["stdout"]) == 300_006
    logged = plugin.logged(kind)
    assert logged.count("x") == 300_000
    assert logged.endswith("after")


def test_many_lines_are_logged_in_order_and_none_is_lost(plugin: Plugin, kind: str, inputs: Inputs) -> None:
    plugin.create(kind, inputs("seq 20000"))
    assert plugin.logged(kind).split() == [str(number) for number in range(1, 20001)]


def test_the_state_has_the_whole_of_a_large_output(plugin: Plugin, kind: str, inputs: Inputs) -> None:
    script = "head -c 5000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2"
    state = plugin.create(kind, inputs(script, logging="none")).state
    assert (len(state["stdout"]), len(state["stderr"])) == (5_000_000, 3_000_000)


def test_bytes_that_are_not_utf_8_become_replacement_characters(
    offline_plugin_only: None, plugin: Plugin, kind: str, inputs: Inputs
) -> None:
    state = plugin.create(kind, inputs("printf 'a\\377\\0b'; printf '\\303\\251'")).state
    assert state["stdout"] == "a\ufffd\0bé"


def test_a_command_goes_on_if_the_engine_takes_no_log_lines(offline_plugin_only: None, fresh_plugin: Plugin) -> None:
    fresh_plugin.stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))
    assert fresh_plugin.create(LOCAL, {"create": "seq 1000 | tail -1"}).state["stdout"] == "1000"
