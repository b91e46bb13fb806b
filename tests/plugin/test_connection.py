from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import REMOTE, Plugin, PluginError, running_plugin, secret
from tests.plugin.password_server import PASSWORD, running_server
from tests.plugin.sshd import Key, Sshd, free_port, running_sshd


def _run(plugin: Plugin, connection: dict[str, Any], command: str = "echo ran") -> str:
    inputs = {"connection": secret(connection), "create": command}
    return plugin.create(REMOTE, inputs).state["stdout"]


def _failure(plugin: Plugin, connection: dict[str, Any]) -> str:
    with pytest.raises(PluginError) as failure:
        _run(plugin, connection)
    return str(failure.value)


def _retries(plugin: Plugin) -> list[str]:
    return [message.text for message in plugin.log.messages if "failed: retrying" in message.text]


def test_the_pinned_host_key_lets_in(plugin: Plugin, sshd: Sshd) -> None:
    assert _run(plugin, sshd.connection(hostKey=sshd.host_keys[0].public + " a comment\n")) == "ran"


def test_another_host_key_is_refused_before_anything_runs(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    connection = sshd.connection(hostKey=Key.make().public)
    with pytest.raises(PluginError, match="host key mismatch"):
        _run(plugin, connection, f"touch {tmp_path}/ran")
    assert not (tmp_path / "ran").exists()


def test_without_a_pinned_key_any_server_is_taken(plugin: Plugin, sshd: Sshd) -> None:
    assert _run(plugin, sshd.connection(hostKey=None)) == "ran"


def test_a_pinned_key_of_a_type_that_the_server_has_not_is_refused(plugin: Plugin, sshd: Sshd) -> None:
    assert "host key" in _failure(plugin, sshd.connection(hostKey=Key.make("ecdsa").public))


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_a_server_with_several_keys_shows_the_pinned_one(
    ours: None, plugin: Plugin, tmp_path: Path, pinned: int
) -> None:
    with running_sshd(tmp_path, host_keys=["rsa", "ecdsa", "ed25519"]) as server:
        assert _run(plugin, server.connection(hostKey=server.host_keys[pinned].public)) == "ran"


def test_a_host_key_that_is_none_is_told_without_a_dial(plugin: Plugin) -> None:
    connection = {
        "host": "127.0.0.1",
        "port": 1,
        "user": "root",
        "hostKey": "SHA256:abc",
        "perDialTimeout": 1,
    }
    begin = time.monotonic()
    assert "host" in _failure(plugin, connection)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("ed25519", "OpenSSH"),
        ("ed25519", "PKCS8"),
        ("ecdsa", "OpenSSH"),
        ("ecdsa", "TraditionalOpenSSL"),
        ("rsa", "OpenSSH"),
        ("rsa", "PKCS8"),
        ("rsa", "TraditionalOpenSSL"),
    ],
)
def test_keys_of_all_usual_kinds_and_forms_are_understood(plugin: Plugin, tmp_path: Path, kind: str, form: str) -> None:
    with running_sshd(tmp_path) as server:
        key = Key.make(kind)
        (tmp_path / "authorized_keys").write_text(key.public + "\n")
        # Without the line break at the end, which is easily lost on the way.
        assert _run(plugin, server.connection(privateKey=key.text(form).strip())) == "ran"


def test_an_encrypted_key_opens_with_its_password(plugin: Plugin, sshd: Sshd) -> None:
    key = sshd.user_key.text(password="sesame")
    assert _run(plugin, sshd.connection(privateKey=key, privateKeyPassword="sesame")) == "ran"


@pytest.mark.parametrize("password", [None, "wrong"])
def test_an_encrypted_key_without_its_password_is_told_without_a_dial(
    plugin: Plugin, sshd: Sshd, password: str | None
) -> None:
    key = sshd.user_key.text(password="sesame")
    told = _failure(plugin, sshd.connection(privateKey=key, privateKeyPassword=password, dialErrorLimit=-1))
    assert "PRIVATE KEY" not in told
    assert not _retries(plugin)


def test_a_text_that_is_no_key_is_told_and_not_shown(plugin: Plugin, sshd: Sshd) -> None:
    assert "needle" not in _failure(plugin, sshd.connection(privateKey="needle", dialErrorLimit=-1))


def test_a_key_that_the_server_does_not_know_is_refused(plugin: Plugin, sshd: Sshd) -> None:
    assert "unable to authenticate" in _failure(plugin, sshd.connection(privateKey=Key.make().text()))


def test_nothing_to_authenticate_with_is_an_error(plugin: Plugin, sshd: Sshd) -> None:
    assert "unable to authenticate" in _failure(plugin, sshd.connection(privateKey=None))


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_a_password_authenticates(plugin: Plugin, method: str) -> None:
    with running_server(method) as port:
        connection = {
            "host": "127.0.0.1",
            "port": port,
            "user": "u",
            "perDialTimeout": 10,
            "dialErrorLimit": 0,
        }
        assert _run(plugin, {**connection, "password": PASSWORD}, "it") == "ran it"
        assert "unable to authenticate" in _failure(plugin, {**connection, "password": "wrong"})


def test_a_key_comes_before_a_password(plugin: Plugin) -> None:
    key = Key.make()
    with running_server("publickey", [key.public]) as port:
        connection = {
            "host": "127.0.0.1",
            "port": port,
            "user": "u",
            "privateKey": key.text(),
            "password": "wrong",
            "perDialTimeout": 10,
            "dialErrorLimit": 0,
        }
        assert _run(plugin, connection, "it") == "ran it"


@pytest.fixture
def agent(sshd: Sshd, tmp_path: Path) -> Any:
    if not shutil.which("ssh-agent") or not shutil.which("ssh-add"):
        pytest.skip("ssh-agent is not installed")
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not path.exists():
            time.sleep(0.02)
        subprocess.run(
            ["ssh-add", "-q", "-"],
            input=sshd.user_key.text().encode(),
            env={"SSH_AUTH_SOCK": str(path), "PATH": "/usr/bin:/bin"},
            check=True,
        )
        yield path
    finally:
        process.terminate()
        process.wait()


def test_the_agent_at_the_given_path_authenticates(plugin: Plugin, sshd: Sshd, agent: Path) -> None:
    assert _run(plugin, sshd.connection(privateKey=None, agentSocketPath=str(agent))) == "ran"


def test_the_agent_of_the_environment_authenticates(executable: Path, sshd: Sshd, agent: Path) -> None:
    with running_plugin(executable, environment={"SSH_AUTH_SOCK": str(agent)}) as plugin:
        assert _run(plugin, sshd.connection(privateKey=None)) == "ran"


def test_an_agent_that_is_not_there_is_an_error(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    connection = sshd.connection(privateKey=None, agentSocketPath=str(tmp_path / "nobody"))
    assert "nobody" in _failure(plugin, connection)


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_dead_server_is_dialled_as_often_as_allowed(plugin: Plugin, limit: int) -> None:
    connection = {
        "host": "127.0.0.1",
        "port": free_port(),
        "user": "root",
        "password": "x",
        "dialErrorLimit": limit,
        "perDialTimeout": 5,
    }
    told = _failure(plugin, connection)
    assert f"after {limit} failed attempts" in told
    assert "connection refused" in told.lower()
    assert _retries(plugin) == [f"Dial {n}/{limit} failed: retrying" for n in range(1, limit + 1)]


def test_a_server_that_comes_up_later_is_waited_for(plugin: Plugin, tmp_path: Path) -> None:
    port = free_port()
    key = Key.make()
    connection = {
        "host": "127.0.0.1",
        "port": port,
        "user": getpass.getuser(),
        "privateKey": key.text(),
        "dialErrorLimit": 20,
        "perDialTimeout": 5,
    }
    with ThreadPoolExecutor() as threads:
        running = threads.submit(_run, plugin, connection)
        plugin.log.wait_for("Dial 2/20 failed")
        # Its accounts come after its port, as in a booting machine: that is retried as well.
        with running_sshd(tmp_path, port=port):
            plugin.log.wait_for("Dial 5/20 failed")
            (tmp_path / "authorized_keys").write_text(key.public + "\n")
            assert running.result() == "ran"


def test_an_unlimited_dial_goes_on_until_it_is_cancelled(own_plugin: Plugin) -> None:
    connection = {
        "host": "127.0.0.1",
        "port": free_port(),
        "user": "root",
        "password": "x",
        "dialErrorLimit": -1,
        "perDialTimeout": 5,
    }
    with ThreadPoolExecutor() as threads:
        running = threads.submit(_run, own_plugin, connection)
        own_plugin.log.wait_for("Dial 4/inf failed: retrying")
        begin = time.monotonic()
        own_plugin.cancel()
        with pytest.raises(PluginError):
            running.result()
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-Silence\r\n"])
def test_a_server_that_falls_silent_at_the_door_is_given_up_after_its_time(
    ours: None, plugin: Plugin, greeting: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        guests: list[socket.socket] = []

        def greet() -> None:
            for _ in range(2):
                guests.append(silent.accept()[0])
                guests[-1].sendall(greeting)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        connection = {
            "host": "127.0.0.1",
            "port": silent.getsockname()[1],
            "user": "root",
            "password": "x",
            "dialErrorLimit": 1,
            "perDialTimeout": 1,
        }
        begin = time.monotonic()
        assert "after 1 failed attempts" in _failure(plugin, connection)
        assert time.monotonic() - begin < 10
        thread.join(5)
        for guest in guests:
            guest.close()


def test_a_server_that_hangs_up_is_retried(plugin: Plugin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            for _ in range(3):
                rude.accept()[0].close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        connection = {
            "host": "127.0.0.1",
            "port": rude.getsockname()[1],
            "user": "root",
            "password": "x",
            "dialErrorLimit": 2,
            "perDialTimeout": 5,
        }
        assert "after 2 failed attempts" in _failure(plugin, connection)
        thread.join(5)
        assert len(_retries(plugin)) == 2


def test_a_bastion_leads_to_the_server(plugin: Plugin, sshd: Sshd, own_sshd: Sshd) -> None:
    connection = sshd.connection(proxy=own_sshd.connection())
    assert _run(plugin, connection, "echo ${SSH_CONNECTION##* }") == str(sshd.port)
    assert "Accepted publickey" in own_sshd.log()


def test_a_bastion_with_another_key_is_refused(plugin: Plugin, sshd: Sshd, own_sshd: Sshd) -> None:
    proxy = own_sshd.connection(hostKey=Key.make().public)
    told = _failure(plugin, sshd.connection(proxy=proxy))
    assert told.startswith("proxy: ")
    assert "host key mismatch" in told


def test_a_server_behind_a_bastion_is_checked_too(plugin: Plugin, sshd: Sshd, own_sshd: Sshd) -> None:
    told = _failure(plugin, sshd.connection(proxy=own_sshd.connection(), hostKey=Key.make().public))
    assert "host key mismatch" in told


def test_a_dead_server_behind_a_bastion_is_an_error(plugin: Plugin, sshd: Sshd, own_sshd: Sshd) -> None:
    told = _failure(plugin, sshd.connection(proxy=own_sshd.connection(), port=free_port(), dialErrorLimit=1))
    assert told.startswith("proxy: ")
