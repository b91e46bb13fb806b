"""A stack of this project for a test, driven through bin/pulumi as a user would, with state and settings of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tools.setup import backend

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_SECONDS = 400
# The commands that take --config-file.
READ_SETTINGS = {"config", "destroy", "preview", "refresh", "up"}
# At the end of the example app: an address that answers POST.
ECHO = """

@app.route("/echo", methods=["POST"])
def echo():
    return request.get_data()
"""


@dataclass
class Answer:
    """What a visitor got."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass
class Stack:
    """``folder`` holds the state, the settings and whatever the test adds."""

    name: str
    folder: Path
    settings: dict[str, object] = field(default_factory=dict[str, object])
    passphrase: str = "test"
    # Of the operator's shell, besides what it has.
    variables: dict[str, str] = field(default_factory=dict[str, str])
    project: Path = ROOT

    def __post_init__(self) -> None:
        (self.folder / "state").mkdir()
        self.pulumi("stack", "init", self.name)
        # Pulumi has written the stack's salt into the project's folder, where a test leaves nothing.
        made = self.project / self._config.name
        self._write_settings(yaml.safe_load(made.read_text())["encryptionsalt"])
        made.unlink()

    def configure(self, **settings: object) -> None:
        """Change settings; None takes one away."""
        self.settings.update(settings)
        self._write_settings()

    @property
    def app(self) -> Path:
        """The app's folder, where the settings name one of this test's own."""
        return Path(str(self.settings["app"]))

    def edit(self, old: str, new: str) -> None:
        """Change the source of the app, a ``copy_of_rocket``."""
        source = self.app / "rocket.py"
        text = source.read_text()
        assert old in text
        source.write_text(text.replace(old, new))

    def command(self, *words: str) -> list[str]:
        """bin/pulumi with these words, for this stack and its settings."""
        chosen = ["--config-file", str(self._config)] if words[0] in READ_SETTINGS else []
        chosen += [] if words[:2] == ("stack", "init") else ["--stack", self.name]
        return [str(ROOT / "bin/pulumi"), *words, "--non-interactive", *chosen]

    def pulumi(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run bin/pulumi; with ``check``, a failure fails the test with all that was printed."""
        command, env = self.command(*words), self.environment()
        done = subprocess.run(
            command, cwd=self.project, env=env, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        if check:
            assert done.returncode == 0, f"{' '.join(words)} failed:\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", *words, check=check)

    def destroy(self) -> None:
        words = ("destroy", "--yes", "--skip-preview")
        if self.pulumi(*words, check=False).returncode != 0:
            # An `up` that was interrupted with the test has left its lock.
            self.pulumi("cancel", "--yes", check=False)
            self.pulumi(*words)

    def recover(self) -> str:
        """Do what `make recover` does; what it says."""
        words = [
            sys.executable,
            "-m",
            "tools.setup",
            "recover",
            "--stack",
            self.name,
            "--config-file",
            str(self._config),
        ]
        done = subprocess.run(
            words, cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        assert done.returncode == 0, f"recover failed:\n{done.stdout}\n{done.stderr}"
        return done.stderr

    def plan(self) -> set[tuple[str, str, str]]:
        """What a preview would do: type, name and operation of all that doesn't stay the same."""
        steps = json.loads(self.pulumi("preview", "--json").stdout)["steps"]
        told = [(*step["urn"].split("::")[-2:], step["op"]) for step in steps if step["op"] != "same"]
        return {(kind.rpartition(":")[2], name, operation) for kind, name, operation in told}

    def steps(self) -> dict[str, str]:
        """The operation by resource name, which resources of several types may have."""
        return {name: operation for _, name, operation in self.plan()}

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.pulumi("stack", "output", "--json", "--show-secrets").stdout)

    def resource(self, name: str) -> dict[str, Any]:
        """The outputs of a resource, as the state has them, secrets in plain text."""
        found = next(each["outputs"] for each in self._resources() if each["urn"].endswith(f"::{name}"))
        plain = {key: value["plaintext"] for key, value in found.items() if "plaintext" in (value or ())}
        return {**found, **{key: json.loads(value) for key, value in plain.items()}}

    def _resources(self) -> list[dict[str, Any]]:
        return json.loads(self.pulumi("stack", "export", "--show-secrets").stdout)["deployment"]["resources"]

    def script(self, text: str) -> str:
        """What a script says that root's shell reads from standard input, on the first server."""
        words = [str(ROOT / "bin/ssh"), "--stack", self.name, f"{self.name}-0", "sudo sh"]
        done = subprocess.run(
            words, env=self.environment(), input=text, capture_output=True, text=True, errors="replace", timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ssh(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the first server by way of bin/ssh."""
        return self.on(0, *command, check=check)

    def on(self, number: int, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on one of several servers."""
        words = [str(ROOT / "bin/ssh"), "--stack", self.name, f"{self.name}-{number}", *command]
        done = subprocess.run(
            words, env=self.environment(), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}"
        return done

    def environment(self) -> dict[str, str]:
        state = backend.in_folder(self.folder / "state")
        own = {"PULUMI_BACKEND_URL": state, "PULUMI_CONFIG_PASSPHRASE": self.passphrase}
        return {**os.environ, **self.variables, **own}

    @property
    def _config(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    def _write_settings(self, salt: str | None = None) -> None:
        salt = salt or yaml.safe_load(self._config.read_text())["encryptionsalt"]
        # A watch is worth its time once, in test_faults_of_the_app.py.
        settings = {"watch": 1, **self.settings}
        given = {f"gantry:{key}": value for key, value in settings.items() if value is not None}
        self._config.write_text(yaml.safe_dump({"config": given, "encryptionsalt": salt}))


def get(url: str, host: str | None = None, method: str = "GET", timeout: float = 10) -> Answer:
    """Ask once, without following a redirect."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        connection.request(method, parts.path or "/", headers={"Host": host} if host else {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


def copy_of_rocket(folder: Path) -> Path:
    """The example app, to be edited, with an address that answers POST."""
    app = folder / "app"
    shutil.copytree(ROOT / "examples/rocket", app, ignore=shutil.ignore_patterns("__pycache__"))
    (app / "rocket.py").write_text((app / "rocket.py").read_text() + ECHO)
    return app
