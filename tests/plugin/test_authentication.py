from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import Plugin, running_plugin
from tests.plugin.connections import connection_to, failure_of, retries, run
from tests.plugin.password_server import PASSWORD, running_server
from tests.plugin.sshd import Key, Sshd, running_sshd


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
def test_keys_of_all_usual_types_and_formats_are_read(plugin: Plugin, tmp_path: Path, kind: str, form: str) -> None:
    with running_sshd(tmp_path) as server:
        key = Key.make(kind)
        (tmp_path / "authorized_keys").write_text(key.public + "\n")
        # Without the line break at the end, which users often lose when they copy a key.
        assert run(plugin, server.connection(privateKey=key.text(form).strip())) == "ran"


def test_an_encrypted_key_opens_with_its_password(plugin: Plugin, sshd: Sshd) -> None:
    key = sshd.user_key.text(password="sesame")
    assert run(plugin, sshd.connection(privateKey=key, privateKeyPassword="sesame")) == "ran"


@pytest.mark.parametrize("password", [None, "wrong"])
def test_an_encrypted_key_without_its_password_is_an_error_without_an_attempt_to_connect(
    plugin: Plugin, sshd: Sshd, password: str | None
) -> None:
    key = sshd.user_key.text(password="sesame")
    error = failure_of(plugin, sshd.connection(privateKey=key, privateKeyPassword=password, dialErrorLimit=-1))
    assert "PRIVATE KEY" not in error
    assert not retries(plugin)


def test_an_invalid_private_key_is_an_error_that_does_not_show_it(plugin: Plugin, sshd: Sshd) -> None:
    assert "needle" not in failure_of(plugin, sshd.connection(privateKey="needle", dialErrorLimit=-1))


def test_a_key_that_the_server_does_not_know_is_refused(plugin: Plugin, sshd: Sshd) -> None:
    assert "unable to authenticate" in failure_of(plugin, sshd.connection(privateKey=Key.make().text()))


def test_without_key_password_and_agent_there_is_an_error(plugin: Plugin, sshd: Sshd) -> None:
    assert "unable to authenticate" in failure_of(plugin, sshd.connection(privateKey=None))


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_a_password_authenticates(plugin: Plugin, method: str) -> None:
    with running_server(method) as port:
        connection = connection_to(port, user="u", perDialTimeout=10)
        assert run(plugin, {**connection, "password": PASSWORD}, "it") == "ran it"
        assert "unable to authenticate" in failure_of(plugin, {**connection, "password": "wrong"})


def test_a_key_is_tried_before_a_password(plugin: Plugin) -> None:
    key = Key.make()
    with running_server("publickey", [key.public]) as port:
        connection = connection_to(port, user="u", privateKey=key.text(), password="wrong", perDialTimeout=10)
        assert run(plugin, connection, "it") == "ran it"


@pytest.fixture
def agent(sshd: Sshd, tmp_path: Path) -> Any:
    """The socket of an ssh-agent with the user's key."""
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


def test_the_agent_at_agent_socket_path_authenticates(plugin: Plugin, sshd: Sshd, agent: Path) -> None:
    assert run(plugin, sshd.connection(privateKey=None, agentSocketPath=str(agent))) == "ran"


def test_the_agent_at_ssh_auth_sock_authenticates(executable: Path, sshd: Sshd, agent: Path) -> None:
    with running_plugin(executable, environment={"SSH_AUTH_SOCK": str(agent)}) as plugin:
        assert run(plugin, sshd.connection(privateKey=None)) == "ran"


def test_a_missing_agent_is_an_error(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    connection = sshd.connection(privateKey=None, agentSocketPath=str(tmp_path / "nobody"))
    assert "nobody" in failure_of(plugin, connection)
