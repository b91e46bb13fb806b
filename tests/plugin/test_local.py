from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import LOCAL, Plugin, PluginError, is_secret, secret


def test_create_returns_both_streams_without_their_last_line_break(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": "printf 'a\\nb\\n\\n'; echo problem >&2"}).state
    assert (state["stdout"], state["stderr"]) == ("a\nb\n", "problem")


def test_the_state_has_the_inputs_and_the_outputs(plugin: Plugin) -> None:
    inputs = {"create": "echo x", "triggers": ["a"], "environment": {"A": "b"}}
    assert plugin.create(LOCAL, inputs).state == {**inputs, "stdout": "x", "stderr": ""}


def test_the_id_is_the_name_and_eight_random_hex_digits(plugin: Plugin) -> None:
    first, second = (plugin.create(LOCAL, {"create": "true"}, name="say").id for _ in range(2))
    assert re.fullmatch(r"say[0-9a-f]{8}", first)
    assert first != second


def test_without_a_create_command_nothing_runs(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"delete": "exit 1"}).state
    assert (state["stdout"], state["stderr"]) == ("", "")


def test_update_runs_its_own_command(plugin: Plugin) -> None:
    old = {"create": "echo create", "stdout": "create", "stderr": ""}
    new = {"create": "echo create", "update": "echo update"}
    assert plugin.update(LOCAL, old, new) == {**new, "stdout": "update", "stderr": ""}


def test_update_without_a_command_runs_create_again(plugin: Plugin) -> None:
    old = {"create": "echo 1", "stdout": "1", "stderr": ""}
    assert plugin.update(LOCAL, old, {"create": "echo 2"})["stdout"] == "2"


def test_update_without_any_command_keeps_the_outputs(plugin: Plugin) -> None:
    old = {"create": "echo 1", "stdout": "1", "stderr": "e"}
    assert plugin.update(LOCAL, old, {"delete": "true"}) == {"delete": "true", "stdout": "1", "stderr": "e"}


def test_delete_runs_with_the_last_outputs_in_its_environment(plugin: Plugin, tmp_path: Path) -> None:
    command = f'printf %s "$PULUMI_COMMAND_STDOUT/$PULUMI_COMMAND_STDERR" > {tmp_path}/seen'
    plugin.delete(LOCAL, {"delete": command, "stdout": "out", "stderr": "err"})
    assert (tmp_path / "seen").read_text() == "out/err"


def test_delete_without_a_command_does_nothing(plugin: Plugin) -> None:
    plugin.delete(LOCAL, {"create": "exit 1", "stdout": "", "stderr": ""})


@pytest.mark.parametrize(("option", "stdout"), [({}, "old"), ({"addPreviousOutputInEnv": False}, "none")])
def test_update_gets_the_last_output_in_its_environment_unless_that_is_off(
    plugin: Plugin, option: dict[str, Any], stdout: str
) -> None:
    new = {"update": 'echo "${PULUMI_COMMAND_STDOUT-none}"', **option}
    assert plugin.update(LOCAL, {"stdout": "old", "stderr": ""}, new)["stdout"] == stdout


def test_an_error_has_the_exit_status_the_command_and_its_output(plugin: Plugin) -> None:
    with pytest.raises(PluginError) as failure:
        plugin.create(LOCAL, {"create": 'echo out; echo "a problem" >&2; exit 3'})
    error = str(failure.value)
    assert "exit status 3" in error
    assert r'running "echo out; echo \"a problem\" >&2; exit 3"' in error
    assert "a problem" in error.partition("\n")[2]
    assert "out" in error.partition("\n")[2]


def test_a_failed_update_and_a_failed_delete_are_errors(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match="exit status 4"):
        plugin.update(LOCAL, {"stdout": "", "stderr": ""}, {"update": "exit 4"})
    with pytest.raises(PluginError, match="exit status 5"):
        plugin.delete(LOCAL, {"delete": "exit 5", "stdout": "", "stderr": ""})


def test_a_signal_is_a_failure(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match="signal: killed"):
        plugin.create(LOCAL, {"create": "kill -9 $$"})


def test_a_command_runs_in_the_folder_of_dir(plugin: Plugin, tmp_path: Path) -> None:
    assert plugin.create(LOCAL, {"create": "pwd -P", "dir": str(tmp_path)}).state["stdout"] == str(tmp_path.resolve())


def test_a_missing_folder_is_an_error(plugin: Plugin, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no-such-folder"):
        plugin.create(LOCAL, {"create": "true", "dir": str(tmp_path / "no-such-folder")})


def test_the_interpreter_gets_the_command_as_its_last_argument(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": "a b", "interpreter": ["/bin/echo", "-n", "x"]}).state
    assert state["stdout"] == "x a b"


def test_a_missing_interpreter_is_an_error(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match="no-such-program"):
        plugin.create(LOCAL, {"create": "x", "interpreter": ["/no-such-program"]})


def test_a_command_gets_its_variables_besides_those_of_the_plugin(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": 'echo "$A $HOME"', "environment": {"A": secret("b c")}}).state
    assert state["stdout"] == f"b c {os.environ['HOME']}"
    assert is_secret(state["environment"]["A"])


def test_stdin_is_the_standard_input(plugin: Plugin) -> None:
    assert plugin.create(LOCAL, {"create": "wc -c", "stdin": "12345"}).state["stdout"].strip() == "5"


def test_without_stdin_the_standard_input_is_empty(plugin: Plugin) -> None:
    assert plugin.create(LOCAL, {"create": "cat"}).state["stdout"] == ""


def test_a_command_may_ignore_its_stdin(plugin: Plugin) -> None:
    assert plugin.create(LOCAL, {"create": "echo done", "stdin": "x" * 1_000_000}).state["stdout"] == "done"


def test_a_secret_stdin_stays_secret_and_does_not_make_the_output_secret(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": "cat", "stdin": secret("hidden")}).state
    assert state["stdin"] == secret("hidden")
    assert state["stdout"] == "hidden"


def test_a_secret_command_runs_and_stays_secret(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": secret("echo x")}).state
    assert (state["create"], state["stdout"]) == (secret("echo x"), "x")


def test_commands_run_in_parallel(plugin: Plugin) -> None:
    start = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        runs = [threads.submit(plugin.create, LOCAL, {"create": f"sleep 1; echo {n}"}) for n in range(20)]
        assert [run.result().state["stdout"] for run in runs] == [str(n) for n in range(20)]
    assert time.monotonic() - start < 10


def test_run_returns_its_arguments_and_the_output(plugin: Plugin) -> None:
    arguments = {"command": 'cat; echo "$A"', "stdin": "in\n", "environment": {"A": "b"}}
    assert plugin.run(arguments) == {**arguments, "stdout": "in\nb", "stderr": ""}


def test_a_failed_run_is_an_error_with_its_output(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match="exit status 7") as failure:
        plugin.run({"command": "echo why; exit 7"})
    assert "why" in str(failure.value)
