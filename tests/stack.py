"""A stack of this project for a test. It runs bin/pulumi as a user would, with its own state and settings."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from components import ssh
from tools import login
from tools.setup import backend

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_SECONDS = 400
# The commands that take --config-file.
COMMANDS_WITH_SETTINGS = {"config", "destroy", "preview", "refresh", "up"}
# A POST route for the end of the example app.
ECHO_ROUTE = """

@app.route("/echo", methods=["POST"])
def echo():
    return request.get_data()
"""


@dataclass
class Response:
    """The response to one HTTP request."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass
class Stack:
    """``folder`` holds the state, the settings and the files that the test adds."""

    name: str
    folder: Path
    settings: dict[str, object] = field(default_factory=dict[str, object])
    passphrase: str = "test"
    # Added to the variables of the shell that runs Pulumi.
    shell_env: dict[str, str] = field(default_factory=dict[str, str])
    project: Path = ROOT
    # The state whose outputs were read last, and these.
    _read_state: tuple[int, int] | None = None
    _read_outputs: str = ""

    def __post_init__(self) -> None:
        (self.folder / "state").mkdir()
        # Pulumi writes the stack's salt into the project's folder, where a test leaves nothing. Another process may
        # make a stack of this name at the same time.
        with (ROOT / ".gantry/stack-init.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.pulumi("stack", "init", self.name)
            project_settings = self.project / self._settings_file.name
            self._write_settings(yaml.safe_load(project_settings.read_text())["encryptionsalt"])
            project_settings.unlink()

    @classmethod
    @contextmanager
    def temporary(cls, name: str, folder: Path, settings: Mapping[str, object], **options: Any) -> Iterator[Self]:
        """A stack that is destroyed after the block. Nothing of it is up yet."""
        stack = cls(name, folder, dict(settings), **options)
        try:
            yield stack
        finally:
            stack.destroy()

    def configure(self, **settings: object) -> None:
        """Change settings; None removes one."""
        self.settings.update(settings)
        self._write_settings()

    def set_from_input(self, path: str, text: str, *options: str) -> None:
        """Set a value with `config set`, as a user does for one of several lines. ``configure`` forgets it."""
        command = self.command("config", "set", "--path", *options, path)
        result = self._run(command, cwd=self.project, stdin=text, timeout=TIMEOUT_SECONDS)
        assert result.returncode == 0, output(result)

    @property
    def app(self) -> Path:
        """The app's folder, where the settings name one of this test's own."""
        return Path(str(self.settings["app"]))

    def edit(self, old: str, new: str) -> None:
        """Replace text in the source of the app, which must be a ``copy_example_app``."""
        source = self.app / "rocket.py"
        text = source.read_text()
        assert old in text
        source.write_text(text.replace(old, new))

    def command(self, *words: str) -> list[str]:
        """The command line of bin/pulumi for this stack and its settings."""
        options = ["--config-file", str(self._settings_file)] if words[0] in COMMANDS_WITH_SETTINGS else []
        options += [] if words[:2] == ("stack", "init") else ["--stack", self.name]
        return [str(ROOT / "bin/pulumi"), *words, "--non-interactive", *options]

    def pulumi(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run bin/pulumi. With ``check``, a failure fails the test and shows all that was printed."""
        result = self._run(self.command(*words), cwd=self.project, timeout=TIMEOUT_SECONDS)
        if check:
            assert result.returncode == 0, f"{' '.join(words)} failed:\n{output(result)}"
        return result

    def up(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", *words, check=check)

    def failing_up(self) -> subprocess.CompletedProcess[str]:
        """Run an `up` that must fail."""
        result = self.up(check=False)
        assert result.returncode != 0, f"up succeeded:\n{output(result)}"
        return result

    def destroy(self) -> None:
        words = ("destroy", "--yes", "--skip-preview")
        if self.pulumi(*words, check=False).returncode != 0:
            # An `up` that was interrupted with the test has left its lock.
            self.pulumi("cancel", "--yes", check=False)
            self.pulumi(*words)

    def make_up(self, timeout: float = TIMEOUT_SECONDS) -> subprocess.CompletedProcess[str]:
        """Do what `make up` does, which may fail."""
        return self._make("up", timeout)

    def recover(self) -> str:
        """Do what `make recover` does; returns its messages."""
        result = self._make("recover")
        assert result.returncode == 0, f"recover failed:\n{output(result)}"
        return result.stderr

    def _make(self, target: str, timeout: float = TIMEOUT_SECONDS) -> subprocess.CompletedProcess[str]:
        """Do what this target of the Makefile does."""
        options = ["--stack", self.name, "--config-file", str(self._settings_file)]
        command = [sys.executable, "-m", "tools.setup", target, *options]
        return self._run(command, cwd=ROOT, timeout=timeout)

    def plan(self) -> set[tuple[str, str, str]]:
        """The changes that a preview shows: (type, name, operation) of each resource that doesn't stay the same."""
        steps = json.loads(self.pulumi("preview", "--json").stdout)["steps"]
        changes = [(*step["urn"].split("::")[-2:], step["op"]) for step in steps if step["op"] != "same"]
        return {(types.rpartition(":")[2], name, operation) for types, name, operation in changes}

    def steps(self) -> dict[str, str]:
        """The changes that a preview shows: the operation by resource name. Several types may share a name."""
        return {name: operation for _, name, operation in self.plan()}

    def outputs(self) -> dict[str, Any]:
        """The outputs, with secrets in plain text. They are read once for each state, because Pulumi takes a second."""
        state = self._state()
        if state is None or state != self._read_state:
            self._read_outputs = self.pulumi("stack", "output", "--json", "--show-secrets").stdout
            self._read_state = state
        return json.loads(self._read_outputs)

    def _state(self) -> tuple[int, int] | None:
        """The identity of the state's file, which Pulumi replaces with each change; None if there is no file yet."""
        for file in (self.folder / "state/.pulumi/stacks").glob(f"*/{self.name}.json"):
            return file.stat().st_ino, file.stat().st_mtime_ns
        return None

    def resource(self, name: str) -> dict[str, Any]:
        """The outputs of a resource in the state, with secrets in plain text."""
        outputs = next(resource["outputs"] for resource in self._resources() if resource["urn"].endswith(f"::{name}"))
        secrets = {key: value["plaintext"] for key, value in outputs.items() if "plaintext" in (value or ())}
        return {**outputs, **{key: json.loads(value) for key, value in secrets.items()}}

    def _resources(self) -> list[dict[str, Any]]:
        return json.loads(self.pulumi("stack", "export", "--show-secrets").stdout)["deployment"]["resources"]

    def script(self, text: str) -> str:
        """Run a script as root on the first server, which reads it from standard input; returns its output."""
        command = [str(ROOT / "bin/ssh"), "--stack", self.name, f"{self.name}-0", "sudo sh"]
        result = self._run(command, stdin=text, timeout=120)
        assert result.returncode == 0, output(result)
        return result.stdout

    def ssh(self, *command: str, server: int | str = 0, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the first server, or on the one with this number, or on "balancer", as bin/ssh does."""
        machine = login.server_in(self.outputs(), self.name, f"{self.name}-{server}")
        done = ssh.run(machine.login, list(command), timeout=60)
        texts = (done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        result = subprocess.CompletedProcess(command, done.returncode, *texts)
        if check:
            assert result.returncode == 0, f"{' '.join(command)} failed:\n{output(result)}"
        return result

    def env(self) -> dict[str, str]:
        """The variables for bin/pulumi, bin/ssh and the tools."""
        state = backend.in_folder(self.folder / "state")
        pulumi_env = {"PULUMI_BACKEND_URL": state, "PULUMI_CONFIG_PASSPHRASE": self.passphrase}
        return {**os.environ, **self.shell_env, **pulumi_env}

    def _run(
        self, command: list[str], *, timeout: float, cwd: Path | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=self.env(), input=stdin, capture_output=True, text=True, errors="replace",
            timeout=timeout,
        )  # fmt: skip

    @property
    def _settings_file(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    def _write_settings(self, salt: str | None = None) -> None:
        salt = salt or yaml.safe_load(self._settings_file.read_text())["encryptionsalt"]
        # test_faults_of_the_app.py tests a real watch. One second is enough for all other tests.
        # A test must not meet an update because it runs at this hour.
        settings = {"watch": 1, "updateWindow": "none", **self.settings}
        project = backend.name_in((self.project / "Pulumi.yaml").read_text())
        config = {f"{project}:{key}": value for key, value in settings.items() if value is not None}
        self._settings_file.write_text(yaml.safe_dump({"config": config, "encryptionsalt": salt}))


def output(result: subprocess.CompletedProcess[str]) -> str:
    """All that a command printed."""
    return result.stdout + result.stderr


def get(url: str, host: str | None = None, method: str = "GET", timeout: float = 10, roots: str = "") -> Response:
    """Send one request. Redirects aren't followed. For https, ``roots`` (PEM) are the only trusted certificates."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(name, timeout=timeout, context=ssl.create_default_context(cadata=roots))
        if parts.scheme == "https"
        else http.client.HTTPConnection(name, parts.port or 80, timeout=timeout)
    )
    try:
        connection.request(method, parts.path or "/", headers={"Host": host} if host else {})
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


def copy_example_app(folder: Path) -> Path:
    """Copy the example app, for a test to edit, and add a POST route. Returns the app's folder."""
    app = folder / "app"
    shutil.copytree(ROOT / "examples/rocket", app, ignore=shutil.ignore_patterns("__pycache__"))
    (app / "rocket.py").write_text((app / "rocket.py").read_text() + ECHO_ROUTE)
    return app
