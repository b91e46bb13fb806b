"""Deployments: a release with its variables and settings, run as one systemd unit with its own Unix socket and port."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from host import concurrency, explain, files, health_advice, ports, procfile, systemd, web_server
from host.errors import ReleaseError
from host.paths import Paths

# The user that runs the app. It can't write to the app's folder.
APP_USER = "app"
# A release that turned unhealthy may hang. Its in-flight requests get this much time and no more.
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Deployment:
    """The inputs of a deployment: the release, its variables, and a digest of the settings that it starts with.

    ``linked`` has the relative paths of the setting linkedPaths. With ``link_defaults``, usual ones are linked, too.
    """

    release: str
    settings: str
    variables: Mapping[str, str]
    linked: tuple[str, ...] = ()
    link_defaults: bool = False

    @property
    def name(self) -> str:
        """``<release>-<6 hex digits of settings, variables and linked paths>``: the same inputs have the same name."""
        inputs = [self.settings, sorted(self.variables.items())]
        # Deployments of earlier versions keep their names.
        inputs += [self.linked] if self.linked else []
        return f"{self.release}-{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Folders:
    """What a deployment runs: the app's folder, which is the release or a build of it, and the virtual environment."""

    app: Path
    venv: Path


def unit(name: str) -> str:
    """The systemd unit of a deployment's web process."""
    return systemd.WEB_UNIT.format(name)


def app_folder(name: str) -> Path:
    """The folder in which the app of the deployment with that name runs."""
    return Paths().deployments / name / "app"


def release_of(name: str) -> str:
    """The release of the deployment with that name."""
    return name.partition("-")[0]


def write_files(paths: Paths, deployment: Deployment, folders: Folders) -> None:
    """Write the files that the unit needs: its command, links, settings, variables and port."""
    folder = paths.deployments / deployment.name
    folder.mkdir(parents=True, exist_ok=True)
    files.point(folder / "app", folders.app)
    files.point(folder / "venv", folders.venv)
    # A copy: settings that are configured later are for a later deployment, which is tested with them.
    settings = paths.gunicorn_settings.read_bytes()
    files.write(folder / "gunicorn.conf.py", settings, 0o644)
    command = procfile.read(paths.releases / deployment.release)["web"]
    command = concurrency.with_concurrency(command, settings, folders.app)
    # Some servers don't start while the socket of an earlier run exists. Another release may have made a folder there.
    files.write(folder / "web", procfile.script(command, 'rm -rf "$GANTRY_SOCKET"'), 0o755)
    ports.assign(paths, folder)
    files.write(paths.env_files / deployment.name, env_file(deployment.variables).encode(), 0o600)


def env_file(variables: Mapping[str, str]) -> str:
    """The variables in systemd's EnvironmentFile format: double-quoted values keep newlines, ``$`` and ``%``."""
    return "".join(f'{name}="{_escape(value)}"\n' for name, value in sorted(variables.items()))


def _escape(value: str) -> str:
    for character in ("\\", '"', "`", "$"):
        value = value.replace(character, "\\" + character)
    return value


def start(name: str) -> None:
    """Start the web process and wait until it listens; most servers import the app before that.

    Raises ReleaseError with the last lines of its journal.
    """
    if systemd.systemctl("start", unit(name)).returncode != 0:
        raise _start_failure(name)


def _start_failure(name: str) -> ReleaseError:
    properties = systemd.show(unit(name), "Result", "TimeoutStartUSec")
    if properties.get("Result") != "timeout":
        return explain.failure("the app doesn't start:", journal(name), app_folder(name))
    limit = systemd.seconds(properties["TimeoutStartUSec"])
    error = explain.failure(f"the app didn't listen within {limit:g} s:", journal(name), app_folder(name))
    return ReleaseError(error.message, "\n".join(filter(None, (error.advice, health_advice.slow_start(limit)))))


def is_active(name: str) -> bool:
    """Whether systemd reports the web process as active."""
    return systemd.systemctl("is-active", "--quiet", unit(name)).returncode == 0


@dataclass(frozen=True)
class UnitState:
    """systemd's report of a web process: active, activating, failed...; and the id of its last start."""

    active: str
    invocation: str


def unit_state(name: str) -> UnitState:
    """systemd's report of the web process of a deployment."""
    properties = systemd.show(unit(name), "ActiveState", "InvocationID")
    return UnitState(properties["ActiveState"], properties["InvocationID"])


def running() -> list[str]:
    """Names of the deployments whose web processes run, are starting or are stopping."""
    before, after = unit("*").split("*")
    return sorted(name[len(before) : -len(after)] for name in systemd.running(unit("*")))


def drain(name: str) -> None:
    """Let the web process finish its requests and end, in the background. TimeoutStopSec of the unit is the limit."""
    systemd.systemctl("stop", "--no-block", unit(name))


def stop(name: str) -> None:
    """Let the web process finish its requests for ``STOP_SECONDS``, then kill it."""
    with suppress(subprocess.TimeoutExpired):
        systemd.systemctl("stop", unit(name), timeout=STOP_SECONDS)
    kill(name)


def kill(name: str) -> None:
    """End the web process at once, without regard to its requests."""
    systemd.systemctl("kill", "--signal=SIGKILL", unit(name))
    systemd.systemctl("stop", unit(name))
    systemd.systemctl("reset-failed", unit(name))


def remove(paths: Paths, name: str) -> None:
    """Delete the files of a deployment that has ended."""
    web_server.remove_files(paths, name)
    shutil.rmtree(paths.deployments / name, ignore_errors=True)
    (paths.env_files / name).unlink(missing_ok=True)


def journal(name: str) -> str:
    """The last lines of the app. They may be from before its last start: systemd restarts an app that has ended."""
    return systemd.journal_of_all_starts(unit(name))
