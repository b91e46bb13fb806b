"""Starts a real sshd on loopback, with its own port, keys and configuration, as a child process of the tests."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

REPOSITORY = Path(__file__).resolve().parents[2]
PRIVATE_FOLDER = Path("/run/sshd")
UNPACKED = REPOSITORY / ".gantry" / "sshd"


@dataclass(frozen=True)
class Key:
    private: Any

    @classmethod
    def make(cls, kind: str = "ed25519") -> Key:
        makers = {
            "ed25519": ed25519.Ed25519PrivateKey.generate,
            "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
        }
        return cls(makers[kind]())

    @property
    def public(self) -> str:
        line = self.private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return line.decode()

    def text(self, form: str = "OpenSSH", password: str | None = None) -> str:
        protection = (
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        )
        return self.private.private_bytes(
            serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), protection
        ).decode()


@dataclass
class Sshd:
    port: int
    process: subprocess.Popen[bytes]
    user_key: Key
    host_keys: list[Key]
    folder: Path

    def connection(self, **changes: Any) -> dict[str, Any]:
        """The settings of a connection, as the SDK sends them. Without retries, so that failures are quick."""
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "privateKey": self.user_key.text(),
            "hostKey": self.host_keys[0].public,
            "dialErrorLimit": 0,
            "perDialTimeout": 15,
            **changes,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def sessions(self) -> list[int]:
        """The ids of the processes that serve connections, and of their commands."""
        return descendants(self.process.pid)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextlib.contextmanager
def running_sshd(
    folder: Path, *, host_keys: Sequence[str] = ("ed25519",), port: int = 0, options: Sequence[str] = ()
) -> Iterator[Sshd]:
    folder.mkdir(parents=True, exist_ok=True)
    keys = [Key.make(kind) for kind in host_keys]
    user_key = Key.make()
    port = port or free_port()
    config = _configure(folder, port, keys, user_key, options)
    with _private_folder(), (folder / "log").open("wb") as log:
        process = subprocess.Popen([executable(), "-D", "-e", "-f", config], stderr=log, env=_sshd_env())
        server = Sshd(port, process, user_key, keys, folder)
        try:
            _wait_for(server)
            yield server
        finally:
            _stop(server)


def _configure(folder: Path, port: int, keys: list[Key], user_key: Key, options: Sequence[str]) -> Path:
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        "PidFile none",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        # Folders of a test run may belong to a temporary user or be writable for a group.
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        "PermitRootLogin yes",
        "MaxStartups 200",
        "UseDNS no",
        "Subsystem sftp internal-sftp",
        *_unpacked_options(),
        *options,
    ]
    for number, key in enumerate(keys):
        path = folder / f"host_key_{number}"
        path.write_text(key.text())
        path.chmod(0o600)
        lines.append(f"HostKey {path}")
    (folder / "authorized_keys").write_text(user_key.public + "\n")
    config = folder / "sshd_config"
    config.write_text("\n".join(lines) + "\n")
    return config


def _wait_for(server: Sshd) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1) as stream:
            if stream.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    raise AssertionError(f"sshd does not answer: {server.log()}")


def _stop(server: Sshd) -> None:
    pids = [*server.sessions(), server.process.pid]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
    try:
        server.process.wait(5)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def descendants(pid: int) -> list[int]:
    children: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid:
            child = int(stat.parent.name)
            children += [child, *descendants(child)]
    return children


def free_port() -> int:
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", 0))
        return stream.getsockname()[1]


@contextlib.contextmanager
def _private_folder() -> Iterator[None]:
    """The folder that root's sshd needs. Debian's unit creates it."""
    if os.geteuid() == 0:
        PRIVATE_FOLDER.mkdir(mode=0o755, exist_ok=True)
    yield


@functools.cache
def executable() -> Path:
    """The installed sshd, else one that is unpacked for the tests. Installing the package would start a server."""
    installed = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if installed:
        return Path(installed)
    if os.geteuid() == 0 and not _has_user("sshd"):
        # As root, sshd switches to a user that only the installed package creates.
        pytest.skip("sshd of root needs Debian's openssh-server: apt-get install openssh-server")
    unpacked = UNPACKED / "usr" / "sbin" / "sshd"
    if not unpacked.exists():
        _unpack()
    return unpacked


def _has_user(name: str) -> bool:
    return any(user.pw_name == name for user in pwd.getpwall())


def _unpack() -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise AssertionError("these tests need sshd: install OpenSSH's server")
    UNPACKED.mkdir(parents=True, exist_ok=True)
    # sshd and the one of its libraries that isn't part of every Debian.
    packages = ("libwrap0", "openssh-server")
    subprocess.run(["apt-get", "download", *packages], cwd=UNPACKED, check=True, stdout=subprocess.DEVNULL)
    for package in packages:
        subprocess.run(["dpkg", "-x", next(UNPACKED.glob(f"{package}_*.deb")), UNPACKED], check=True)


def _sshd_env() -> dict[str, str]:
    """The variables for sshd. An unpacked one needs the path of the libraries beside it."""
    libraries = {str(library.parent) for library in UNPACKED.rglob("lib*.so.*")}
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)} if _is_unpacked() else dict(os.environ)


def _is_unpacked() -> bool:
    return executable().is_relative_to(UNPACKED)


def _unpacked_options() -> list[str]:
    """The paths of the helpers of an unpacked sshd. Since version 9.8, sshd looks for them in /usr/lib/openssh."""
    helpers = UNPACKED / "usr" / "lib" / "openssh"
    names = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}
    if not _is_unpacked():
        return []
    return [f"{option} {helpers / name}" for option, name in names.items() if (helpers / name).exists()]
