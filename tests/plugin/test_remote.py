from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import REMOTE, Plugin, PluginError, secret
from tests.plugin.connections import UNREACHABLE
from tests.plugin.sshd import Sshd


def _inputs(sshd: Sshd, **inputs: Any) -> dict[str, Any]:
    return {"connection": secret(sshd.connection()), **inputs}


def test_create_returns_both_streams_without_their_last_line_break(plugin: Plugin, sshd: Sshd) -> None:
    inputs = _inputs(sshd, create="printf 'a\\nb\\n\\n'; echo problem >&2")
    created = plugin.create(REMOTE, inputs, name="say")
    assert created.state == {**inputs, "stdout": "a\nb\n", "stderr": "problem"}
    assert re.fullmatch(r"say[0-9a-f]{8}", created.id)


def test_the_connection_stays_secret_and_does_not_make_the_output_secret(plugin: Plugin, sshd: Sshd) -> None:
    inputs = _inputs(sshd, create="cat", stdin=secret("hidden"))
    state = plugin.create(REMOTE, inputs).state
    assert state["connection"] == inputs["connection"]
    assert (state["stdin"], state["stdout"]) == (secret("hidden"), "hidden")


def test_without_a_create_command_the_plugin_does_not_connect(plugin: Plugin) -> None:
    assert plugin.create(REMOTE, {"connection": UNREACHABLE}).state["stdout"] == ""


def test_update_runs_its_own_command_or_create_again(plugin: Plugin, sshd: Sshd) -> None:
    old = {**_inputs(sshd, create="echo create"), "stdout": "create", "stderr": ""}
    assert plugin.update(REMOTE, old, _inputs(sshd, create="echo 2", update="echo 3"))["stdout"] == "3"
    assert plugin.update(REMOTE, old, _inputs(sshd, create="echo 2"))["stdout"] == "2"


def test_delete_runs_on_the_server(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    plugin.delete(REMOTE, {**_inputs(sshd, delete=f"touch {tmp_path}/gone"), "stdout": "", "stderr": ""})
    assert (tmp_path / "gone").exists()


def test_delete_without_a_command_needs_no_server(plugin: Plugin) -> None:
    plugin.delete(REMOTE, {"connection": UNREACHABLE, "create": "x", "stdout": "", "stderr": ""})


def test_an_error_has_the_exit_status_the_command_and_its_output(plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError) as failure:
        plugin.create(REMOTE, _inputs(sshd, create='echo out; echo "a problem" >&2; exit 3'))
    error = str(failure.value)
    assert "Process exited with status 3" in error
    assert r'running "echo out; echo \"a problem\" >&2; exit 3"' in error
    assert "a problem" in error.partition("\n")[2]
    assert "out" in error.partition("\n")[2]
    assert "PRIVATE KEY" not in error


def test_a_signal_is_a_failure(plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError, match="signal"):
        plugin.create(REMOTE, _inputs(sshd, create="kill -9 $$"))


def test_an_unknown_command_fails_with_the_message_of_the_shell(plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError, match="status 127") as failure:
        plugin.create(REMOTE, _inputs(sshd, create="no-such-command"))
    assert "not found" in str(failure.value)


def test_a_large_stdin_is_the_standard_input(plugin: Plugin, sshd: Sshd) -> None:
    state = plugin.create(REMOTE, _inputs(sshd, create="wc -c", stdin="x" * 3_000_000)).state
    assert state["stdout"].strip() == "3000000"


def test_without_stdin_the_standard_input_is_empty(plugin: Plugin, sshd: Sshd) -> None:
    assert plugin.create(REMOTE, _inputs(sshd, create="cat; echo end")).state["stdout"] == "end"


def test_a_command_may_ignore_its_stdin(plugin: Plugin, sshd: Sshd) -> None:
    assert plugin.create(REMOTE, _inputs(sshd, create="echo done", stdin="x" * 1_000_000)).state["stdout"] == "done"


def test_a_command_may_ignore_several_megabytes_of_stdin(offline_plugin_only: None, plugin: Plugin, sshd: Sshd) -> None:
    """The official plugin fails with `EOF`."""
    state = plugin.create(REMOTE, _inputs(sshd, create="echo done", stdin="x" * 3_000_000)).state
    assert state["stdout"] == "done"


def test_a_command_that_fails_without_reading_its_stdin_fails_with_its_status(plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError, match="Process exited with status 3"):
        plugin.create(REMOTE, _inputs(sshd, create="exit 3", stdin="x" * 3_000_000))


def test_stdin_is_not_in_the_process_list(plugin: Plugin, sshd: Sshd) -> None:
    listing = "cat > /dev/null; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    state = plugin.create(REMOTE, _inputs(sshd, create=listing, stdin=secret("xyzzy-needle"))).state
    assert "xyzzy-needle" not in state["stdout"]


def test_a_variable_that_the_server_accepts_is_set(plugin: Plugin, sshd: Sshd) -> None:
    inputs = _inputs(sshd, create='echo "$ALLOWED_A $ALLOWED_B"')
    inputs["environment"] = {"ALLOWED_A": "1 2", "ALLOWED_B": secret("b")}
    assert plugin.create(REMOTE, inputs).state["stdout"] == "1 2 b"


def test_a_variable_that_the_server_refuses_is_an_error(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    inputs = _inputs(sshd, create=f"touch {tmp_path}/ran", environment={"REFUSED": "1"})
    with pytest.raises(PluginError, match='could not set environment variable "REFUSED"'):
        plugin.create(REMOTE, inputs)
    assert any(m.severity == "ERROR" and "AcceptEnv" in m.text for m in plugin.log.messages)
    assert not (tmp_path / "ran").exists()


def test_if_the_server_refuses_the_last_output_there_is_only_a_warning(plugin: Plugin, sshd: Sshd) -> None:
    old = {**_inputs(sshd), "stdout": "old", "stderr": "older"}
    new = _inputs(sshd, update='echo "[$PULUMI_COMMAND_STDOUT][$ALLOWED_A]"', environment={"ALLOWED_A": "a"})
    assert plugin.update(REMOTE, old, new)["stdout"] == "[][a]"
    warnings = " ".join(m.text for m in plugin.log.messages if m.severity == "WARNING")
    assert "PULUMI_COMMAND_STDOUT" in warnings
    assert "PULUMI_COMMAND_STDERR" in warnings


def test_the_last_output_is_not_sent_if_that_is_off(plugin: Plugin, sshd: Sshd) -> None:
    old = {**_inputs(sshd), "stdout": "old", "stderr": "older"}
    plugin.update(REMOTE, old, _inputs(sshd, update="true", addPreviousOutputInEnv=False))
    assert not [m for m in plugin.log.messages if m.severity == "WARNING"]


def test_a_command_gets_the_last_output_if_the_server_accepts_it(plugin: Plugin, fresh_sshd: Sshd) -> None:
    old = {**_inputs(fresh_sshd), "stdout": "a\nb", "stderr": "older"}
    new = _inputs(fresh_sshd, update='printf %s "$PULUMI_COMMAND_STDOUT/$PULUMI_COMMAND_STDERR"')
    assert plugin.update(REMOTE, old, new)["stdout"] == "a\nb/older"


def test_the_plugin_waits_for_a_command_that_has_closed_its_streams(plugin: Plugin, sshd: Sshd) -> None:
    command = "exec >&- 2>&-; sleep 1; exit 9"
    with pytest.raises(PluginError, match="status 9"):
        plugin.create(REMOTE, _inputs(sshd, create=command))


def test_commands_run_in_parallel(plugin: Plugin, sshd: Sshd) -> None:
    start = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        runs = [
            threads.submit(plugin.create, REMOTE, _inputs(sshd, create=f"sleep 1; echo {number}"))
            for number in range(16)
        ]
        assert [run.result().state["stdout"] for run in runs] == [str(number) for number in range(16)]
    assert time.monotonic() - start < 15


def test_the_first_connections_of_a_plugin_may_start_at_once(fresh_plugin: Plugin, fresh_sshd: Sshd) -> None:
    inputs = _inputs(fresh_sshd, create="echo ran")
    with ThreadPoolExecutor(8) as threads:
        runs = [threads.submit(fresh_plugin.create, REMOTE, inputs) for _ in range(8)]
        assert [run.result().state["stdout"] for run in runs] == ["ran"] * 8


def _error_after(plugin: Plugin, sshd: Sshd, disturb: Callable[[], None]) -> str:
    """The error of a running command after `disturb` was called. It must come within 30 seconds."""
    start = time.monotonic()
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(plugin.create, REMOTE, _inputs(sshd, create="echo up; sleep 61"))
        plugin.log.wait_for("up")
        disturb()
        with pytest.raises(PluginError) as failure:
            creating.result()
    assert time.monotonic() - start < 30
    return str(failure.value)


def test_the_error_of_a_broken_connection_has_the_output(fresh_plugin: Plugin, fresh_sshd: Sshd) -> None:
    def break_it() -> None:
        for pid in fresh_sshd.sessions():
            os.kill(pid, signal.SIGKILL)

    error = _error_after(fresh_plugin, fresh_sshd, break_it)
    assert "up" in error.partition("\n")[2]


def test_a_server_that_stops_answering_is_an_error(
    offline_plugin_only: None, fresh_plugin: Plugin, fresh_sshd: Sshd
) -> None:
    def freeze() -> None:
        for pid in fresh_sshd.sessions():
            os.kill(pid, signal.SIGSTOP)

    assert "was lost" in _error_after(fresh_plugin, fresh_sshd, freeze)


def test_cancel_disconnects_a_running_command(
    offline_plugin_only: None, fresh_plugin: Plugin, fresh_sshd: Sshd
) -> None:
    assert "cancelled" in _error_after(fresh_plugin, fresh_sshd, fresh_plugin.cancel)
    # Not every sshd signals a command of root, but its session always ends.
    deadline = time.monotonic() + 5
    while fresh_sshd.sessions() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not fresh_sshd.sessions()


def test_the_timeout_of_a_resource_stops_its_command(offline_plugin_only: None, plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError, match="timed out after 1 s"):
        plugin.create(REMOTE, _inputs(sshd, create="sleep 61"), timeout=1)
