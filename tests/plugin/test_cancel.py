from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.plugin.client import LOCAL, Plugin, PluginError


def test_cancel_stops_a_running_command_with_its_background_processes(
    offline_plugin_only: None, fresh_plugin: Plugin, tmp_path: Path
) -> None:
    """The official plugin waits for the process that holds the pipes."""
    command = f"echo up; sh -c 'echo $$ > {tmp_path}/pid; sleep 61 & wait'; true"
    start = time.monotonic()
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(fresh_plugin.create, LOCAL, {"create": command})
        fresh_plugin.log.wait_for("up")
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        fresh_plugin.cancel()
        with pytest.raises(PluginError):
            creating.result()
    assert time.monotonic() - start < 20


def test_after_a_cancel_no_descendant_of_the_command_runs(
    offline_plugin_only: None, fresh_plugin: Plugin, tmp_path: Path
) -> None:
    command = f"sh -c 'echo $$ > {tmp_path}/pid; sleep 61; true'; true"
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(fresh_plugin.create, LOCAL, {"create": command})
        pid = tmp_path / "pid"
        while not pid.exists() or not pid.read_text():
            time.sleep(0.01)
        fresh_plugin.cancel()
        with pytest.raises(PluginError, match="cancelled"):
            creating.result()
    deadline = time.monotonic() + 5
    process = Path("/proc") / pid.read_text().strip()
    while process.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process.exists()


def test_after_a_cancel_no_command_starts(offline_plugin_only: None, fresh_plugin: Plugin, tmp_path: Path) -> None:
    fresh_plugin.cancel()
    with pytest.raises(PluginError, match="cancelled"):
        fresh_plugin.create(LOCAL, {"create": f"touch {tmp_path}/made"})
    assert not (tmp_path / "made").exists()


def test_the_timeout_of_a_resource_stops_its_command(plugin: Plugin) -> None:
    start = time.monotonic()
    with pytest.raises(PluginError):
        plugin.create(LOCAL, {"create": "exec sleep 61"}, timeout=0.5)
    assert time.monotonic() - start < 20
