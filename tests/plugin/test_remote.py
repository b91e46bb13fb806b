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
from tests.plugin.sshd import Sshd


def _inputs(sshd: Sshd, **inputs: Any) -> dict[str, Any]:
    return {"connection": secret(sshd.connection()), **inputs}


def test_create_keeps_both_streams_without_their_last_line_break(plugin: Plugin, sshd: Sshd) -> None:
    inputs = _inputs(sshd, create="printf 'a\\nb\\n\\n'; echo problem >&2")
    created = plugin.create(REMOTE, inputs, name="say")
    assert created.state == {**inputs, "stdout": "a\nb\n", "stderr": "problem"}
    assert re.fullmatch(r"say[0-9a-f]{8}", created.id)


def test_the_connection_stays_secret_and_makes_no_output_secret(plugin: Plugin, sshd: Sshd) -> None:
    inputs = _inputs(sshd, create="cat", stdin=secret("hidden"))
    state = plugin.create(REMOTE, inputs).state
    assert state["connection"] == inputs["connection"]
    assert (state["stdin"], state["stdout"]) == (secret("hidden"), "hidden")


def test_without_a_create_command_nothing_is_dialled(plugin: Plugin) -> None:
    dead = {"host": "127.0.0.1", "port": 1, "user": "root", "dialErrorLimit": 0, "perDialTimeout": 1}
    assert plugin.create(REMOTE, {"connection": secret(dead)}).state["stdout"] == ""


def test_update_runs_its_own_command_or_creates_again(plugin: Plugin, sshd: Sshd) -> None:
    old = {**_inputs(sshd, create="echo create"), "stdout": "create", "stderr": ""}
    assert plugin.update(REMOTE, old, _inputs(sshd, create="echo 2", update="echo 3"))["stdout"] == "3"
    assert plugin.update(REMOTE, old, _inputs(sshd, create="echo 2"))["stdout"] == "2"


def test_delete_runs_on_the_server(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    plugin.delete(REMOTE, {**_inputs(sshd, delete=f"touch {tmp_path}/gone"), "stdout": "", "stderr": ""})
    assert (tmp_path / "gone").exists()


def test_delete_without_a_command_needs_no_server(plugin: Plugin) -> None:
    dead = {"host": "127.0.0.1", "port": 1, "user": "root", "dialErrorLimit": 0, "perDialTimeout": 1}
    plugin.delete(REMOTE, {"connection": secret(dead), "create": "x", "stdout": "", "stderr": ""})


def test_a_failure_tells_the_status_the_command_and_what_it_printed(plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError) as failure:
        plugin.create(REMOTE, _inputs(sshd, create='echo out; echo "a problem" >&2; exit 3'))
    told = str(failure.value)
    assert "Process exited with status 3" in told
    assert r'running "echo out; echo \"a problem\" >&2; exit 3"' in told
    assert "a problem" in told.partition("\n")[2]
    assert "out" in told.partition("\n")[2]
    assert "PRIVATE KEY" not in told


def test_a_signal_is_a_failure(plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError, match="signal"):
        plugin.create(REMOTE, _inputs(sshd, create="kill -9 $$"))


def test_an_unknown_command_fails_with_the_words_of_the_shell(plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError, match="status 127") as failure:
        plugin.create(REMOTE, _inputs(sshd, create="no-such-command"))
    assert "not found" in str(failure.value)


def test_stdin_is_the_standard_input_however_large(plugin: Plugin, sshd: Sshd) -> None:
    state = plugin.create(REMOTE, _inputs(sshd, create="wc -c", stdin="x" * 3_000_000)).state
    assert state["stdout"].strip() == "3000000"


def test_without_stdin_there_is_nothing_to_read(plugin: Plugin, sshd: Sshd) -> None:
    assert plugin.create(REMOTE, _inputs(sshd, create="cat; echo end")).state["stdout"] == "end"


def test_an_input_that_nobody_reads_does_no_harm(plugin: Plugin, sshd: Sshd) -> None:
    state = plugin.create(REMOTE, _inputs(sshd, create="echo done", stdin="x" * 3_000_000)).state
    assert state["stdout"] == "done"


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


def test_a_server_that_refuses_the_last_output_is_only_warned_about(plugin: Plugin, sshd: Sshd) -> None:
    old = {**_inputs(sshd), "stdout": "old", "stderr": "older"}
    new = _inputs(sshd, update='echo "[$PULUMI_COMMAND_STDOUT][$ALLOWED_A]"', environment={"ALLOWED_A": "a"})
    assert plugin.update(REMOTE, old, new)["stdout"] == "[][a]"
    warnings = " ".join(m.text for m in plugin.log.messages if m.severity == "WARNING")
    assert "PULUMI_COMMAND_STDOUT" in warnings
    assert "PULUMI_COMMAND_STDERR" in warnings


def test_the_last_output_is_not_offered_if_that_is_not_wanted(plugin: Plugin, sshd: Sshd) -> None:
    old = {**_inputs(sshd), "stdout": "old", "stderr": "older"}
    plugin.update(REMOTE, old, _inputs(sshd, update="true", addPreviousOutputInEnv=False))
    assert not [m for m in plugin.log.messages if m.severity == "WARNING"]


def test_a_server_that_accepts_the_last_output_gets_it(plugin: Plugin, own_sshd: Sshd) -> None:
    old = {**_inputs(own_sshd), "stdout": "a\nb", "stderr": "older"}
    new = _inputs(own_sshd, update='printf %s "$PULUMI_COMMAND_STDOUT/$PULUMI_COMMAND_STDERR"')
    assert plugin.update(REMOTE, old, new)["stdout"] == "a\nb/older"


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
def test_logging_chooses_the_streams_and_the_state_has_both(
    plugin: Plugin, sshd: Sshd, logging: str | None, logged: set[str]
) -> None:
    inputs = _inputs(sshd, create="echo out; echo err >&2") | ({"logging": logging} if logging else {})
    state = plugin.create(REMOTE, inputs).state
    assert set(plugin.logged(REMOTE).split()) == logged
    assert (state["stdout"], state["stderr"]) == ("out", "err")


def test_lines_are_logged_as_they_come(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    command = f"echo first; while [ ! -e {go_on} ]; do sleep 0.05; done; printf last"
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(plugin.create, REMOTE, _inputs(sshd, create=command))
        plugin.log.wait_for("first")
        assert not creating.done()
        go_on.touch()
        assert creating.result().state["stdout"] == "first\nlast"


def test_a_large_output_is_kept_whole(plugin: Plugin, sshd: Sshd) -> None:
    command = "head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2"
    state = plugin.create(REMOTE, _inputs(sshd, create=command, logging="none")).state
    assert (len(state["stdout"]), len(state["stderr"])) == (3_000_000, 3_000_000)


def test_a_line_longer_than_64_kib_hangs_nothing(ours: None, plugin: Plugin, sshd: Sshd) -> None:
    command = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo after"
    assert len(plugin.create(REMOTE, _inputs(sshd, create=command)).state["stdout"]) == 300_006
    assert plugin.logged(REMOTE).endswith("after")


def test_a_command_that_closes_its_streams_is_still_waited_for(plugin: Plugin, sshd: Sshd) -> None:
    command = "exec >&- 2>&-; sleep 1; exit 9"
    with pytest.raises(PluginError, match="status 9"):
        plugin.create(REMOTE, _inputs(sshd, create=command))


def test_commands_run_side_by_side(plugin: Plugin, sshd: Sshd) -> None:
    begin = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        runs = [
            threads.submit(plugin.create, REMOTE, _inputs(sshd, create=f"sleep 1; echo {number}"))
            for number in range(16)
        ]
        assert [run.result().state["stdout"] for run in runs] == [str(number) for number in range(16)]
    assert time.monotonic() - begin < 15


def test_the_first_connections_of_a_plugin_may_come_together(own_plugin: Plugin, own_sshd: Sshd) -> None:
    inputs = _inputs(own_sshd, create="echo ran")
    with ThreadPoolExecutor(8) as threads:
        runs = [threads.submit(own_plugin.create, REMOTE, inputs) for _ in range(8)]
        assert [run.result().state["stdout"] for run in runs] == ["ran"] * 8


def _while_running(plugin: Plugin, sshd: Sshd, disturb: Callable[[], None], command: str = "echo up; sleep 61") -> str:
    """The error of a command that is disturbed after its first line, within a time that is no hang."""
    begin = time.monotonic()
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(plugin.create, REMOTE, _inputs(sshd, create=command))
        plugin.log.wait_for("up")
        disturb()
        with pytest.raises(PluginError) as failure:
            creating.result()
    assert time.monotonic() - begin < 30
    return str(failure.value)


def test_a_connection_that_breaks_is_an_error_with_what_was_printed(own_plugin: Plugin, own_sshd: Sshd) -> None:
    def break_it() -> None:
        for pid in own_sshd.sessions():
            os.kill(pid, signal.SIGKILL)

    told = _while_running(own_plugin, own_sshd, break_it)
    assert "up" in told.partition("\n")[2]


def test_a_server_that_falls_silent_is_an_error(ours: None, own_plugin: Plugin, own_sshd: Sshd) -> None:
    def freeze() -> None:
        for pid in own_sshd.sessions():
            os.kill(pid, signal.SIGSTOP)

    assert "was lost" in _while_running(own_plugin, own_sshd, freeze)


def test_cancel_hangs_up_on_a_running_command(ours: None, own_plugin: Plugin, own_sshd: Sshd) -> None:
    assert "cancelled" in _while_running(own_plugin, own_sshd, own_plugin.cancel)
    # A command of root is not signalled by every sshd, but it is on its own: its session has ended.
    deadline = time.monotonic() + 5
    while own_sshd.sessions() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not own_sshd.sessions()


def test_the_timeout_of_a_resource_ends_its_command(ours: None, plugin: Plugin, sshd: Sshd) -> None:
    with pytest.raises(PluginError, match="timed out after 1 s"):
        plugin.create(REMOTE, _inputs(sshd, create="sleep 61"), timeout=1)
