"""Instances: a release with its environment, as one systemd unit on a Unix socket of its own."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from host import files, listener, procfile, systemd
from host.errors import ReleaseError
from host.paths import Paths

# A release that turned bad may hang; its visitors wait no longer than this for it.
DISMISS_SECONDS = 10.0


@dataclass(frozen=True)
class Instance:
    """What is started: the code, its virtual environment, its variables, and the settings that it starts with."""

    release: str
    settings: str
    variables: Mapping[str, str]

    @property
    def name(self) -> str:
        """``<release>-<6 hex digits of everything else>``: the same inputs have the same name."""
        rest = json.dumps([self.settings, sorted(self.variables.items())]).encode()
        return f"{self.release}-{hashlib.sha256(rest).hexdigest()[:6]}"


def unit(instance: str) -> str:
    return f"gantry-web@{instance}.service"


def release_of(instance: str) -> str:
    return instance.partition("-")[0]


def prepare(paths: Paths, instance: Instance, venv: Path) -> None:
    """Write what the unit needs: the command, its links, and its environment file."""
    release = paths.releases / instance.release
    folder = paths.instances / instance.name
    folder.mkdir(parents=True, exist_ok=True)
    files.point(folder / "app", release)
    files.point(folder / "venv", venv)
    # Its own copy: what a later configuration brings is for the release that is tried with it.
    files.write(folder / "gunicorn.conf.py", paths.gunicorn_settings.read_bytes(), 0o644)
    command = procfile.of(release)["web"]
    files.write(folder / "web", procfile.script(command), 0o755)
    if not procfile.is_gunicorn(command):
        listener.accompany(paths, instance.name)
    files.write(paths.environments / instance.name, environment_file(instance.variables).encode(), 0o600)


def environment_file(variables: Mapping[str, str]) -> str:
    """The variables in systemd's EnvironmentFile format: double-quoted values keep newlines, ``$`` and ``%``."""
    return "".join(f'{name}="{_escape(value)}"\n' for name, value in sorted(variables.items()))


def _escape(value: str) -> str:
    for character in ("\\", '"', "`", "$"):
        value = value.replace(character, "\\" + character)
    return value


def start(instance: str) -> None:
    """Start it and wait until it has imported the app; raises ReleaseError with its last words."""
    if systemd.systemctl("start", unit(instance)).returncode != 0:
        raise ReleaseError(f"the app doesn't start:\n{journal(instance)}")


def is_active(instance: str) -> bool:
    return systemd.systemctl("is-active", "--quiet", unit(instance)).returncode == 0


@dataclass(frozen=True)
class State:
    """What systemd says of an instance: active, activating, failed...; and how often it was restarted by itself."""

    active: str
    restarts: int


def state(instance: str) -> State:
    found = systemd.show(unit(instance), "ActiveState", "NRestarts")
    return State(found["ActiveState"], int(found["NRestarts"]))


def dismiss(paths: Paths, instance: str) -> None:
    """Let an instance that has served finish its requests, not for long, and discard it."""
    with suppress(subprocess.TimeoutExpired):
        systemd.systemctl("stop", unit(instance), timeout=DISMISS_SECONDS)
    discard(paths, instance)


def discard(paths: Paths, instance: str) -> None:
    """Stop an instance that must not serve, and forget it."""
    systemd.systemctl("kill", "--signal=SIGKILL", unit(instance))
    systemd.systemctl("stop", unit(instance))
    systemd.systemctl("reset-failed", unit(instance))
    forget(paths, instance)


def retire(instance: str) -> None:
    """Let an instance finish its requests and end; doesn't wait for it (the unit's TimeoutStopSec bounds it)."""
    systemd.systemctl("stop", "--no-block", unit(instance))


def forget(paths: Paths, instance: str) -> None:
    """Remove the files of an instance that has stopped."""
    listener.leave_alone(paths, instance)
    shutil.rmtree(paths.instances / instance, ignore_errors=True)
    (paths.environments / instance).unlink(missing_ok=True)
    paths.instance_socket(instance).unlink(missing_ok=True)


def running() -> list[str]:
    """Names of the instances that run, are starting or are stopping."""
    return sorted(name[len("gantry-web@") : -len(".service")] for name in systemd.running("gantry-web@*.service"))


def journal(instance: str) -> str:
    """The last lines that an instance wrote: systemd may have started it anew since it ended."""
    return systemd.journal_of_all_starts(unit(instance))


def journal_since(instance: str, start: float) -> str:
    """What an instance wrote since ``start``, in seconds of the epoch."""
    return systemd.written(f"_SYSTEMD_UNIT={unit(instance)}", f"--since=@{start:.3f}", lines=1000)
