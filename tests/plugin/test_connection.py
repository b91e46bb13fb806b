from __future__ import annotations

import getpass
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.plugin.client import Plugin, PluginError
from tests.plugin.connections import connection_to, failure_of, fake_server, retries, run
from tests.plugin.sshd import Key, Sshd, free_port, running_sshd


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_dial_error_limit_limits_the_attempts_to_connect(plugin: Plugin, limit: int) -> None:
    error = failure_of(plugin, connection_to(free_port(), dialErrorLimit=limit))
    assert f"after {limit} failed attempts" in error
    assert "connection refused" in error.lower()
    assert retries(plugin) == [f"Dial {n}/{limit} failed: retrying" for n in range(1, limit + 1)]


def test_the_plugin_waits_for_a_server_that_starts_later(plugin: Plugin, tmp_path: Path) -> None:
    port = free_port()
    key = Key.make()
    connection = connection_to(port, user=getpass.getuser(), privateKey=key.text(), dialErrorLimit=20)
    del connection["password"]
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(run, plugin, connection)
        plugin.log.wait_for("Dial 2/20 failed")
        # While a server boots, its port is open before its users exist. That is retried as well.
        with running_sshd(tmp_path, port=port):
            plugin.log.wait_for("Dial 5/20 failed")
            (tmp_path / "authorized_keys").write_text(key.public + "\n")
            assert creating.result() == "ran"


def test_without_a_limit_the_attempts_go_on_until_they_are_cancelled(fresh_plugin: Plugin) -> None:
    connection = connection_to(free_port(), dialErrorLimit=-1)
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(run, fresh_plugin, connection)
        fresh_plugin.log.wait_for("Dial 4/inf failed: retrying")
        start = time.monotonic()
        fresh_plugin.cancel()
        with pytest.raises(PluginError):
            creating.result()
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-Silence\r\n"])
def test_the_dial_timeout_also_limits_the_handshake(offline_plugin_only: None, plugin: Plugin, greeting: bytes) -> None:
    with fake_server(2, lambda connection: connection.sendall(greeting)) as port:
        start = time.monotonic()
        error = failure_of(plugin, connection_to(port, dialErrorLimit=1, perDialTimeout=1))
        assert "after 1 failed attempts" in error
        assert time.monotonic() - start < 10


def test_a_server_that_disconnects_at_once_is_retried(plugin: Plugin) -> None:
    with fake_server(3, socket.socket.close) as port:
        assert "after 2 failed attempts" in failure_of(plugin, connection_to(port, dialErrorLimit=2))
    assert len(retries(plugin)) == 2


def test_a_command_reaches_a_server_through_a_bastion(plugin: Plugin, sshd: Sshd, fresh_sshd: Sshd) -> None:
    connection = sshd.connection(proxy=fresh_sshd.connection())
    assert run(plugin, connection, "echo ${SSH_CONNECTION##* }") == str(sshd.port)
    assert "Accepted publickey" in fresh_sshd.log()


def test_a_bastion_with_another_host_key_is_refused(plugin: Plugin, sshd: Sshd, fresh_sshd: Sshd) -> None:
    proxy = fresh_sshd.connection(hostKey=Key.make().public)
    error = failure_of(plugin, sshd.connection(proxy=proxy))
    assert error.startswith("proxy: ")
    assert "host key mismatch" in error


def test_the_host_key_of_a_server_behind_a_bastion_is_checked_too(plugin: Plugin, sshd: Sshd, fresh_sshd: Sshd) -> None:
    error = failure_of(plugin, sshd.connection(proxy=fresh_sshd.connection(), hostKey=Key.make().public))
    assert "host key mismatch" in error


def test_a_dead_server_behind_a_bastion_is_an_error(plugin: Plugin, sshd: Sshd, fresh_sshd: Sshd) -> None:
    proxy = fresh_sshd.connection()
    error = failure_of(plugin, sshd.connection(proxy=proxy, port=free_port(), dialErrorLimit=1))
    assert error.startswith("proxy: ")
