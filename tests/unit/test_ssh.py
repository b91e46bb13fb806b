from __future__ import annotations

import getpass
import os
import stat
import subprocess
from pathlib import Path

import pytest

from components import ssh
from tests.plugin.sshd import running_sshd


@pytest.fixture(params=["in memory", "in a file"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """How the key is offered: in memory as on Linux, or in a file as on systems without memfd_create."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if request.param == "in a file":
        monkeypatch.delattr(os, "memfd_create")
    return request.param


def test_only_the_owner_can_read_the_key_and_only_while_it_is_offered(kind: str, tmp_path: Path):
    paths: list[Path] = []
    with pytest.raises(KeyError), ssh.offering("hunter2\n") as identity:
        paths.append(path := Path(identity[1]))
        assert path.read_text() == "hunter2\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ([path.name] if kind == "in a file" else [])
        raise KeyError
    assert [path for path in paths if path.exists()] == []
    assert (len(paths), list(tmp_path.iterdir())) == (1, [])


def test_a_login_works_and_even_during_it_no_key_is_on_the_disk(kind: str, tmp_path: Path):
    with running_sshd(tmp_path / "sshd") as server, ssh.offering(server.user_key.text()) as identity:
        options = [*identity, "-p", str(server.port), "-o", "HostKeyAlias=127.0.0.1", "-o", "BatchMode=yes"]
        words = ["ls", str(tmp_path)]
        command = ssh.command(
            "127.0.0.1", getpass.getuser(), host_key=server.host_keys[0].public, identity=options, words=words
        )
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == ["sshd"]


def test_another_host_key_is_refused(tmp_path: Path):
    with running_sshd(tmp_path / "sshd") as server, ssh.offering(server.user_key.text()) as identity:
        options = [*identity, "-p", str(server.port), "-o", "HostKeyAlias=127.0.0.1", "-o", "BatchMode=yes"]
        command = ssh.command(
            "127.0.0.1", getpass.getuser(), host_key=server.user_key.public, identity=options, words=["true"]
        )
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode == 255
    assert "Host key verification failed" in result.stderr
