from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import (
    COPY,
    LOCAL,
    REMOTE,
    UNKNOWN,
    Plugin,
    archive,
    asset,
    is_secret,
    is_unknown,
    secret,
    text_asset,
    with_all_members,
)
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
    """The source isn't known, and everything else is."""
    inputs = {"connection": UNREACHABLE, "source": asset(tmp_path / "missing"), "remotePath": "/x"}
    assert plugin.create(COPY, inputs, preview=True).state == {**inputs, "source": UNKNOWN}
    moved = {**inputs, "remotePath": "/y"}
    assert plugin.update(COPY, inputs, moved, preview=True) == {**moved, "source": UNKNOWN}


@pytest.mark.parametrize("source", [asset("/a"), text_asset("hello"), archive("/a")])
def test_the_source_of_a_copy_is_known_in_a_preview_only_if_nothing_changes(
    plugin: Plugin, source: dict[str, Any]
) -> None:
    """The state may have all members of the asset, or only those with a value."""
    inputs = {"connection": UNREACHABLE, "source": source, "remotePath": "/x"}
    for state in (inputs, {**inputs, "source": with_all_members(source)}):
        assert plugin.update(COPY, state, inputs, preview=True)["source"] == with_all_members(source)
        changed = {**inputs, "source": {**source, "hash": "2"}}
        assert plugin.update(COPY, state, changed, preview=True)["source"] == UNKNOWN
        assert plugin.update(COPY, {**state, "triggers": ["a"]}, inputs, preview=True)["source"] == UNKNOWN


def test_a_secret_source_stays_secret_in_a_preview(plugin: Plugin) -> None:
    inputs = {"connection": UNREACHABLE, "source": secret(text_asset("hidden")), "remotePath": "/x"}
    previewed = plugin.create(COPY, inputs, preview=True).state["source"]
    assert previewed != UNKNOWN
    assert is_unknown(previewed)


def test_assets_among_the_triggers_make_them_unknown_in_a_preview(plugin: Plugin) -> None:
    inputs = {"create": "true", "triggers": [asset("/a")]}
    assert plugin.create(LOCAL, inputs, preview=True).state["triggers"] == UNKNOWN
    same = plugin.update(LOCAL, {**inputs, "stdout": "", "stderr": ""}, inputs, preview=True)
    assert same["triggers"] == [with_all_members(asset("/a"))]


def test_the_id_of_a_command_looks_known_in_a_preview_and_that_of_a_copy_is_not(plugin: Plugin) -> None:
    assert re.fullmatch("say[0-9a-f]{8}", plugin.create(LOCAL, {"create": "true"}, name="say", preview=True).id)
    inputs = {"connection": UNREACHABLE, "source": asset("/a"), "remotePath": "/x"}
    assert plugin.create(COPY, inputs, preview=True).id == ""


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
