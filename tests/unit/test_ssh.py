from __future__ import annotations

import getpass
import os
import stat
import subprocess
from pathlib import Path

import pytest

from components import ssh
from tests.plugin.sshd import Sshd, running_sshd


@pytest.fixture(params=["in memory", "in a file"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Where a key is stored: in memory as on Linux, or in a file where there are no files in memory."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if request.param == "in a file":
        monkeypatch.delattr(os, "memfd_create")
    return request.param


def test_only_the_owner_can_read_the_key_and_it_is_removed_afterwards(storage: str, tmp_path: Path):
    paths: list[Path] = []
    with pytest.raises(KeyError), ssh.offering("hunter2\n") as identity:
        paths.append(path := Path(identity[1]))
        assert path.read_text() == "hunter2\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ([path.name] if storage == "in a file" else [])
        raise KeyError
    assert [path for path in paths if path.exists()] == []
    assert (len(paths), list(tmp_path.iterdir())) == (1, [])


def log_in(server: Sshd, host_key: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command over SSH with the user's key; the server must show ``host_key``."""
    with ssh.offering(server.user_key.text()) as identity:
        options = [*identity, "-p", str(server.port), "-o", "HostKeyAlias=127.0.0.1", "-o", "BatchMode=yes"]
        command = ssh.command("127.0.0.1", getpass.getuser(), host_key=host_key, identity=options, words=words)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_a_login_works_and_during_it_the_key_is_on_no_disk(storage: str, tmp_path: Path):
    with running_sshd(tmp_path / "sshd") as server:
        result = log_in(server, server.host_keys[0].public, ["ls", str(tmp_path)])
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == ["sshd"]


def test_another_host_key_is_refused(tmp_path: Path):
    with running_sshd(tmp_path / "sshd") as server:
        result = log_in(server, server.user_key.public, ["true"])
    assert result.returncode == 255
    assert "Host key verification failed" in result.stderr
