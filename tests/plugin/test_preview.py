from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.plugin.client import COPY, LOCAL, REMOTE, UNKNOWN, Plugin, asset, is_secret, secret
from tests.plugin.connections import UNREACHABLE


def test_a_preview_of_a_create_runs_nothing_and_its_outputs_are_unknown(plugin: Plugin, tmp_path: Path) -> None:
    inputs = {"create": f"touch {tmp_path}/made"}
    state = plugin.create(LOCAL, inputs, preview=True).state
    assert state == {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
    assert not (tmp_path / "made").exists()


def test_a_preview_of_a_remote_command_does_not_connect(plugin: Plugin) -> None:
    inputs = {"create": "true", "connection": UNREACHABLE}
    assert plugin.create(REMOTE, inputs, preview=True).state["stdout"] == UNKNOWN


def test_a_preview_of_a_copy_does_not_connect(plugin: Plugin, tmp_path: Path) -> None:
    inputs = {"connection": UNREACHABLE, "source": asset(tmp_path / "missing"), "remotePath": "/x"}
    assert plugin.create(COPY, inputs, preview=True).state == inputs
    moved = {**inputs, "remotePath": "/y"}
    assert plugin.update(COPY, inputs, moved, preview=True) == moved


def test_unknown_inputs_stay_unknown(plugin: Plugin) -> None:
    inputs: dict[str, Any] = {"create": UNKNOWN, "environment": {"A": UNKNOWN}, "triggers": [UNKNOWN]}
    state = plugin.create(LOCAL, inputs, preview=True).state
    assert {name: state[name] for name in inputs} == inputs


def test_a_secret_input_stays_secret_and_does_not_make_the_output_secret(plugin: Plugin) -> None:
    state = plugin.create(LOCAL, {"create": "cat", "stdin": secret("s")}, preview=True).state
    assert state["stdin"] == secret("s")
    assert not is_secret(state["create"])
    assert state["stdout"] == UNKNOWN


def test_a_changed_input_makes_the_outputs_unknown(plugin: Plugin, tmp_path: Path) -> None:
    old = {"create": "a", "stdout": "out", "stderr": "err"}
    new = {"create": f"touch {tmp_path}/made"}
    assert plugin.update(LOCAL, old, new, preview=True) == {**new, "stdout": UNKNOWN, "stderr": UNKNOWN}
    assert not (tmp_path / "made").exists()


def test_an_unchanged_input_keeps_the_outputs(plugin: Plugin) -> None:
    old = {"create": "a", "stdout": "out", "stderr": "err"}
    assert plugin.update(LOCAL, old, {"create": "a"}, preview=True) == old


def test_a_removed_input_makes_the_outputs_unknown(plugin: Plugin) -> None:
    old = {"create": "a", "stdin": "s", "stdout": "out", "stderr": "err"}
    assert plugin.update(LOCAL, old, {"create": "a"}, preview=True)["stdout"] == UNKNOWN


def test_an_unknown_new_input_makes_the_outputs_unknown(plugin: Plugin) -> None:
    old = {"create": "a", "stdout": "out", "stderr": "err"}
    assert plugin.update(LOCAL, old, {"create": "a", "stdin": UNKNOWN}, preview=True)["stdout"] == UNKNOWN


def test_collected_files_are_unknown_if_the_command_would_run_again(plugin: Plugin) -> None:
    assets = {"a": asset("/a")}
    old = {"create": "a", "assetPaths": ["*"], "assets": assets, "stdout": "out", "stderr": ""}
    new = {"create": "b", "assetPaths": ["*"]}
    assert plugin.update(LOCAL, old, new, preview=True)["assets"] == UNKNOWN
