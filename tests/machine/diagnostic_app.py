"""An app that shows its installed packages and its environment variables, and a server to release it to."""

from __future__ import annotations

import subprocess
from pathlib import Path

from components.server import commands
from components.settings.common import Settings
from tests.machine.booted_server import BootedServer
from tests.packed_app import packed
from tests.stack import ROOT, get
from tests.stack_settings import read

APP = """
import importlib.metadata
import json
import os

PAGE = "one"


def app(environ, start_response):
    pages = {
        "/": lambda: PAGE,
        "/packages": lambda: {package.name: package.version for package in importlib.metadata.distributions()},
        "/variables": lambda: dict(os.environ),
    }
    body = json.dumps(pages[environ["PATH_INFO"]]()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


def write_app(folder: Path, **files: str) -> Path:
    """Write the app and more files, whose names have _ in place of the dot; returns the new folder."""
    folder.mkdir()
    (folder / "Procfile").write_text("web: gunicorn app:app\n")
    (folder / "app.py").write_text(APP)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


class DiagnosticAppServer(BootedServer):
    """Releases an app with environment variables."""

    @classmethod
    def first_settings(cls, folder: Path) -> Settings:
        """The defaults, but without a watch, which other tests are about."""
        return read(ROOT, watch=0)

    def upload_app(self, app: Path) -> str:
        return self.upload(packed(app))

    def release(self, release: str, **variables: str) -> str:
        """Release, which must succeed; returns what `gantry release` printed."""
        result = self._release(release, variables)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def failing_release(self, release: str, **variables: str) -> str:
        """Release, which must fail; returns the error."""
        result = self._release(release, variables)
        assert result.returncode == 1, result.stdout + result.stderr
        return result.stderr

    def _release(self, release: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = self.ssh_command(self.release_command(release))
        stdin = commands.release_input(variables, release=release, stack="test")
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300)

    def page(self, path: str = "") -> str:
        response = get(self.url + path)
        assert response.status == 200, response
        return response.text

    def kept_releases(self) -> set[str]:
        """The releases on its disk."""
        return set(self.ssh("ls /opt/gantry/releases").split())
