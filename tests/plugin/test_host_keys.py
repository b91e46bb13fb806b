from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.plugin.client import Plugin, PluginError
from tests.plugin.connections import connection_to, failure_of, run
from tests.plugin.sshd import Key, Sshd, running_sshd


def test_a_server_with_the_pinned_host_key_is_accepted(plugin: Plugin, sshd: Sshd) -> None:
    assert run(plugin, sshd.connection(hostKey=sshd.host_keys[0].public + " a comment\n")) == "ran"


def test_another_host_key_is_refused_before_anything_runs(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    connection = sshd.connection(hostKey=Key.make().public)
    with pytest.raises(PluginError, match="host key mismatch"):
        run(plugin, connection, f"touch {tmp_path}/ran")
    assert not (tmp_path / "ran").exists()


def test_without_a_pinned_key_any_server_is_accepted(plugin: Plugin, sshd: Sshd) -> None:
    assert run(plugin, sshd.connection(hostKey=None)) == "ran"


def test_a_server_without_a_key_of_the_pinned_type_is_refused(plugin: Plugin, sshd: Sshd) -> None:
    assert "host key" in failure_of(plugin, sshd.connection(hostKey=Key.make("ecdsa").public))


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_a_server_with_several_keys_shows_the_pinned_one(
    offline_plugin_only: None, plugin: Plugin, tmp_path: Path, pinned: int
) -> None:
    with running_sshd(tmp_path, host_keys=["rsa", "ecdsa", "ed25519"]) as server:
        assert run(plugin, server.connection(hostKey=server.host_keys[pinned].public)) == "ran"


def test_an_invalid_host_key_is_an_error_without_an_attempt_to_connect(plugin: Plugin) -> None:
    connection = connection_to(1, hostKey="SHA256:abc", perDialTimeout=1, dialErrorLimit=10)
    start = time.monotonic()
    assert "host" in failure_of(plugin, connection)
    assert time.monotonic() - start < 5
