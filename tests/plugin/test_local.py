from __future__ import annotations

import hashlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import plugin_pb2

from tests.plugin.client import LOCAL, SIGNATURE, Plugin, PluginError, is_secret, secret


def test_create_keeps_both_streams_without_their_last_line_break(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": "printf 'a\\nb\\n\\n'; echo problem >&2"}).state
    assert (state["stdout"], state["stderr"]) == ("a\nb\n", "problem")


def test_the_state_is_the_inputs_and_the_outputs(plugin: Plugin) -> None:
    inputs = {"create": "echo x", "triggers": ["a"], "environment": {"A": "b"}}
    assert plugin.create(LOCAL, inputs).state == {**inputs, "stdout": "x", "stderr": ""}


def test_the_id_is_the_name_and_eight_random_digits(plugin: Plugin) -> None:
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


def test_update_without_a_command_creates_again(plugin: Plugin) -> None:
    old = {"create": "echo 1", "stdout": "1", "stderr": ""}
    assert plugin.update(LOCAL, old, {"create": "echo 2"})["stdout"] == "2"


def test_update_with_no_command_at_all_keeps_the_outputs(plugin: Plugin) -> None:
    old = {"create": "echo 1", "stdout": "1", "stderr": "e"}
    assert plugin.update(LOCAL, old, {"delete": "true"}) == {"delete": "true", "stdout": "1", "stderr": "e"}


def test_delete_runs_with_the_last_outputs_in_its_environment(plugin: Plugin, tmp_path: Path) -> None:
    command = f'printf %s "$PULUMI_COMMAND_STDOUT/$PULUMI_COMMAND_STDERR" > {tmp_path}/seen'
    plugin.delete(LOCAL, {"delete": command, "stdout": "out", "stderr": "err"})
    assert (tmp_path / "seen").read_text() == "out/err"


def test_delete_without_a_command_does_nothing(plugin: Plugin) -> None:
    plugin.delete(LOCAL, {"create": "exit 1", "stdout": "", "stderr": ""})


@pytest.mark.parametrize(("given", "seen"), [({}, "old"), ({"addPreviousOutputInEnv": False}, "none")])
def test_update_sees_the_last_output_unless_told_not_to(plugin: Plugin, given: dict[str, Any], seen: str) -> None:
    new = {"update": 'echo "${PULUMI_COMMAND_STDOUT-none}"', **given}
    assert plugin.update(LOCAL, {"stdout": "old", "stderr": ""}, new)["stdout"] == seen


def test_a_failure_tells_the_status_the_command_and_what_it_printed(plugin: Plugin) -> None:
    with pytest.raises(PluginError) as failure:
        plugin.create(LOCAL, {"create": 'echo out; echo "a problem" >&2; exit 3'})
    told = str(failure.value)
    assert "exit status 3" in told
    assert r'running "echo out; echo \"a problem\" >&2; exit 3"' in told
    assert "a problem" in told.partition("\n")[2]
    assert "out" in told.partition("\n")[2]


def test_a_failed_update_and_a_failed_delete_are_errors(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match="exit status 4"):
        plugin.update(LOCAL, {"stdout": "", "stderr": ""}, {"update": "exit 4"})
    with pytest.raises(PluginError, match="exit status 5"):
        plugin.delete(LOCAL, {"delete": "exit 5", "stdout": "", "stderr": ""})


def test_a_signal_is_a_failure(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match="signal: killed"):
        plugin.create(LOCAL, {"create": "kill -9 $$"})


def test_it_runs_in_the_given_folder(plugin: Plugin, tmp_path: Path) -> None:
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


def test_variables_are_added_to_the_environment_of_the_plugin(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": 'echo "$A $HOME"', "environment": {"A": secret("b c")}}).state
    assert state["stdout"] == f"b c {os.environ['HOME']}"
    assert is_secret(state["environment"]["A"])


def test_stdin_is_the_standard_input(plugin: Plugin) -> None:
    assert plugin.create(LOCAL, {"create": "wc -c", "stdin": "12345"}).state["stdout"].strip() == "5"


def test_without_stdin_there_is_nothing_to_read(plugin: Plugin) -> None:
    assert plugin.create(LOCAL, {"create": "cat"}).state["stdout"] == ""


def test_an_input_that_nobody_reads_does_no_harm(plugin: Plugin) -> None:
    assert plugin.create(LOCAL, {"create": "echo done", "stdin": "x" * 1_000_000}).state["stdout"] == "done"


def test_a_secret_stdin_stays_secret_in_the_state_and_the_output_is_not(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": "cat", "stdin": secret("hidden")}).state
    assert state["stdin"] == secret("hidden")
    assert state["stdout"] == "hidden"


def test_a_secret_command_runs_and_stays_secret(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": secret("echo x")}).state
    assert (state["create"], state["stdout"]) == (secret("echo x"), "x")


def _files(folder: Path) -> None:
    for name in ("assets/logos/logo.svg", "src/index.js", "src/secret.js", "src/deep/more.js", "note.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_asset_paths_collect_files_by_pattern(plugin: Plugin, tmp_path: Path) -> None:
    _files(tmp_path)
    patterns = ["assets/**", "src/**.js", "!**secret.*"]
    state = plugin.create(LOCAL, {"create": "true", "dir": str(tmp_path), "assetPaths": patterns}).state
    assert set(state["assets"]) == {"assets/logos/logo.svg", "src/index.js", "src/deep/more.js"}
    logo = state["assets"]["assets/logos/logo.svg"]
    assert logo["path"] == str(tmp_path / "assets/logos/logo.svg")
    assert logo["hash"] == hashlib.sha256(b"assets/logos/logo.svg").hexdigest()


def test_a_star_stops_at_a_slash(plugin: Plugin, tmp_path: Path) -> None:
    _files(tmp_path)
    patterns = ["src/*.js", "*.{txt,md}", "not?.txt"]
    state = plugin.create(LOCAL, {"create": "true", "dir": str(tmp_path), "assetPaths": patterns}).state
    assert set(state["assets"]) == {"src/index.js", "src/secret.js", "note.txt"}


def test_archive_paths_collect_files_into_one_archive(plugin: Plugin, tmp_path: Path) -> None:
    _files(tmp_path)
    inputs = {"create": "echo new > src/made.js", "dir": str(tmp_path), "archivePaths": ["src/*"]}
    archive = plugin.create(LOCAL, inputs).state["archive"]
    assert archive[SIGNATURE] == "0def7320c3a5731c473e5ecbe6d01bc7"
    assert set(archive["assets"]) == {"src/index.js", "src/secret.js", "src/made.js"}
    assert re.fullmatch(r"[0-9a-f]{64}", archive["hash"])


def test_no_patterns_no_assets(plugin: Plugin) -> None:
    assert not {"assets", "archive"} & set(plugin.create(LOCAL, {"create": "true"}).state)


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
    plugin: Plugin, logging: str | None, logged: set[str]
) -> None:
    inputs = {"create": "echo out; echo err >&2"} | ({"logging": logging} if logging else {})
    state = plugin.create(LOCAL, inputs).state
    assert set(plugin.logged(LOCAL).split()) == logged
    assert (state["stdout"], state["stderr"]) == ("out", "err")


def test_lines_are_logged_as_they_come(plugin: Plugin, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    command = f"echo first; while [ ! -e '{go_on}' ]; do sleep 0.05; done; printf last"
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(plugin.create, LOCAL, {"create": command})
        first = plugin.log.wait_for("first")
        assert not creating.done()
        assert (first.severity, first.ephemeral) == ("INFO", True)
        go_on.touch()
        assert creating.result().state["stdout"] == "first\nlast"
    assert plugin.logged(LOCAL) == "first\nlast"


def test_many_lines_arrive_in_order_and_none_is_lost(plugin: Plugin) -> None:
    plugin.create(LOCAL, {"create": "seq 20000"})
    assert plugin.logged(LOCAL).split() == [str(number) for number in range(1, 20001)]


def test_a_large_output_is_kept_whole(plugin: Plugin) -> None:
    inputs = {"create": "head -c 5000000 /dev/zero | tr '\\0' x", "logging": "none"}
    assert len(plugin.create(LOCAL, inputs).state["stdout"]) == 5_000_000


def test_a_line_longer_than_64_kib_hangs_nothing(ours: None, plugin: Plugin) -> None:
    command = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo after"
    assert len(plugin.create(LOCAL, {"create": command}).state["stdout"]) == 300_006
    logged = plugin.logged(LOCAL)
    assert logged.count("x") == 300_000
    assert logged.endswith("after")


def test_bytes_that_are_no_text_hang_and_break_nothing(ours: None, plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": "printf 'a\\377\\0b'; printf '\\303\\251'"}).state
    assert state["stdout"] == "a\ufffd\0bé"


def test_commands_run_side_by_side(plugin: Plugin) -> None:
    begin = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        runs = [threads.submit(plugin.create, LOCAL, {"create": f"sleep 1; echo {n}"}) for n in range(20)]
        assert [run.result().state["stdout"] for run in runs] == [str(n) for n in range(20)]
    assert time.monotonic() - begin < 10


def test_cancel_ends_a_running_command_with_what_it_started(own_plugin: Plugin, tmp_path: Path) -> None:
    command = f"echo up; sh -c 'echo $$ > {tmp_path}/pid; sleep 61 & wait'; true"
    begin = time.monotonic()
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(own_plugin.create, LOCAL, {"create": command})
        own_plugin.log.wait_for("up")
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        own_plugin.cancel()
        with pytest.raises(PluginError):
            creating.result()
    assert time.monotonic() - begin < 20


def test_cancel_leaves_no_descendant_behind(ours: None, own_plugin: Plugin, tmp_path: Path) -> None:
    command = f"sh -c 'echo $$ > {tmp_path}/pid; sleep 61; true'; true"
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(own_plugin.create, LOCAL, {"create": command})
        pid = tmp_path / "pid"
        while not pid.exists() or not pid.read_text():
            time.sleep(0.01)
        own_plugin.cancel()
        with pytest.raises(PluginError, match="cancelled"):
            creating.result()
    deadline = time.monotonic() + 5
    process = Path("/proc") / pid.read_text().strip()
    while process.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process.exists()


def test_nothing_begins_after_a_cancel(ours: None, own_plugin: Plugin, tmp_path: Path) -> None:
    own_plugin.cancel()
    with pytest.raises(PluginError, match="cancelled"):
        own_plugin.create(LOCAL, {"create": f"touch {tmp_path}/made"})
    assert not (tmp_path / "made").exists()


def test_the_timeout_of_a_resource_ends_its_command(plugin: Plugin) -> None:
    begin = time.monotonic()
    with pytest.raises(PluginError):
        plugin.create(LOCAL, {"create": "exec sleep 61"}, timeout=0.5)
    assert time.monotonic() - begin < 20


def test_run_returns_the_output_and_its_arguments(plugin: Plugin) -> None:
    arguments = {"command": 'cat; echo "$A"', "stdin": "in\n", "environment": {"A": "b"}}
    assert plugin.run(arguments) == {**arguments, "stdout": "in\nb", "stderr": ""}


def test_run_collects_files_too(plugin: Plugin, tmp_path: Path) -> None:
    result = plugin.run({"command": "echo x > made", "dir": str(tmp_path), "assetPaths": ["m*"]})
    assert set(result["assets"]) == {"made"}


def test_a_failed_run_is_an_error_with_its_output(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match="exit status 7") as failure:
        plugin.run({"command": "echo why; exit 7"})
    assert "why" in str(failure.value)


def test_a_command_runs_on_when_the_engine_does_not_take_its_lines(ours: None, own_plugin: Plugin) -> None:
    own_plugin.stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))
    assert own_plugin.create(LOCAL, {"create": "seq 1000 | tail -1"}).state["stdout"] == "1000"
