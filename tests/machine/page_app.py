"""A Flask app with one page, built to break as a test wants, and a server to release it to."""

from __future__ import annotations

import http.client
import io
import secrets
import socket
import subprocess
import tarfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.server import commands
from components.settings.common import Settings
from tests.machine.booted_server import BootedServer
from tests.machine.clients import PATHS, Clients, running_clients, send_request
from tests.stack_settings import make_settings

HEALTHZ = '\n@app.route("/healthz")\ndef healthz():\n    return "ok"\n'
PAGE = "import os, threading, time\nfrom flask import Flask\napp = Flask(__name__)\n{extra}\n"
PAGE += '@app.route("/")\ndef page():\n    return {page!r}\n'
PAGE += '@app.route("/slow")\ndef slow():\n    time.sleep(5)\n    return {page!r}\n'
PAGE += '@app.route("/post", methods=["POST"])\ndef post():\n    return {page!r}\n'


def app(page: str, extra: str = "", health: str = HEALTHZ) -> dict[str, str]:
    """The files of an app whose page is the text ``page``. ``extra`` is Python that runs at import."""
    return {
        "app.py": PAGE.format(page=page, extra=extra) + health,
        "requirements.txt": "flask\n",
        "Procfile": "web: gunicorn app:app\n",
    }


def later(seconds: float, statement: str) -> str:
    """Python for ``extra`` that runs a statement some seconds after the import."""
    return (
        f"def late():\n    time.sleep({seconds})\n    {statement}\nthreading.Thread(target=late, daemon=True).start()"
    )


def tarball(files: dict[str, str], ballast: int = 0) -> bytes:
    """Pack an app; a file with ``ballast`` bytes makes it large."""
    stream = io.BytesIO()
    contents = {name: text.encode() for name, text in files.items()}
    if ballast:
        contents["ballast"] = (secrets.token_bytes(1024) * (ballast // 1024 + 1))[:ballast]
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@dataclass
class ReleaseResult:
    """How `gantry release` ended."""

    exit_code: int
    output: str
    seconds: float


class PageAppServer(BootedServer):
    """Releases variants of the app, in the foreground or in the background."""

    @classmethod
    def first_settings(cls, folder: Path) -> Settings:
        return make_settings(health_timeout=8, workers=2)

    def start_release(
        self, release: str, *, watch: float = 0, variables: dict[str, str] | None = None, **changes: Any
    ) -> subprocess.Popen[bytes]:
        """Start a release in the background, with some other settings."""
        command = self.ssh_command(self.release_command(release, watch=watch, **changes))
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdin
        process.stdin.write(commands.release_input(variables or {}, release=release, stack="faults").encode())
        process.stdin.close()
        process.stdin = None
        return process

    def run_release(
        self, release: str, *, watch: float = 0, variables: dict[str, str] | None = None, **changes: Any
    ) -> ReleaseResult:
        """The same, and wait for its end."""
        start = time.monotonic()
        process = self.start_release(release, watch=watch, variables=variables, **changes)
        output = process.communicate(timeout=200)[0].decode()
        print(output)
        return ReleaseResult(process.returncode, output, time.monotonic() - start)

    def release(self, files: dict[str, str], *, watch: float = 0, ballast: int = 0, **changes: Any) -> ReleaseResult:
        """Pack, upload and release an app."""
        return self.run_release(self.upload(tarball(files, ballast)), watch=watch, **changes)

    def gunicorn_master(self) -> str:
        """The process id of the master of the deployment that serves, or 0."""
        return self.ssh(f"systemctl show --value --property=MainPID gantry-web@{self.deployment()}")

    def gunicorn_workers(self) -> list[str]:
        """The process ids of its workers."""
        return self.ssh(f"pgrep -P {self.gunicorn_master()}").split()

    def serve(self, page: str) -> str:
        """Release a healthy app with this page; returns its release."""
        release = self.upload(tarball(app(page)))
        result = self.run_release(release)
        assert result.exit_code == 0, result.output
        assert self.page() == page
        return release

    def assert_still_serves(self, page: str, result: ReleaseResult, *messages: str) -> None:
        """Assert that a release failed with these messages, and that the page is still ``page``."""
        assert result.exit_code == 1, result.output
        for message in messages:
            assert message in result.output, result.output
        assert self.page() == page

    def clients(self, paths: Sequence[str] = PATHS) -> AbstractContextManager[Clients]:
        """Clients of this server that send requests while the block runs, one for each path."""
        return running_clients(self.spec.address, paths)

    def get(self, path: str = "/", timeout: float = 10) -> tuple[int, str]:
        """Status and text."""
        with closing(http.client.HTTPConnection(self.spec.address, timeout=timeout)) as connection:
            return send_request(connection, "GET", path)

    def page(self) -> str:
        status, text = self.get()
        assert status == 200, f"{status}: {text}"
        return text

    def responds(self) -> bool:
        """Whether a client would get a page."""
        try:
            return self.get(timeout=2)[0] == 200
        except OSError:
            return False

    def accepts_connections(self) -> bool:
        """Whether anything listens on the port of the site."""
        try:
            socket.create_connection((self.spec.address, 80), timeout=2).close()
        except OSError:
            return False
        return True

    def wait_until_responding(self, seconds: float) -> None:
        self.wait_until(self.responds, "the site to respond", seconds)

    def wait_for_page(self, page: str, event: str = "the switch") -> None:
        self.wait_until(lambda: self.page() == page, event, 20)

    def deployments(self, state: str = "active") -> list[str]:
        """The units of the deployments in this state; an old one may still be draining."""
        return self.ssh(f"systemctl list-units --plain --no-legend --state={state} 'gantry-web@*'").splitlines()

    def wait_until_one_deployment_runs(self, event: str, seconds: float) -> None:
        self.wait_until(lambda: len(self.deployments()) == 1, event, seconds)

    def kill_release(self) -> None:
        """Kill the host program's release with SIGKILL, which it can't handle."""
        self.ssh("sudo pkill -9 -f '[h]ost.pyz release'", check=False)
