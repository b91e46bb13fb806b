"""What an update restarts because it runs with old code, and how."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from host import commands, deployment, files, health, nginx_upgrade, outdated, ports, state, systemd, web_restart
from host.errors import ReleaseError
from host.health_check import HealthCheck
from host.paths import Paths

WEB = "gantry-web@0a1b2c3d4e5f-aaaaaa.service"
# Units that end soon, and the update's own.
SHORT = "".join(
    f"NEEDRESTART-SVC: gantry-{name}.service\n" for name in ("updates", "updates-now", "cron@x", "build@x", "release@x")
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that run; needrestart finds nothing afterwards."""
    steps = list[str]()

    def fake(words: list[str], accepted: Any = (0,)) -> subprocess.CompletedProcess[str]:
        steps.append(" ".join(words))
        return subprocess.CompletedProcess(
            words, 0, "NEEDRESTART-VER: 3.8\nNEEDRESTART-SVC: dbus.service\n" + SHORT, ""
        )

    monkeypatch.setattr(commands, "run", fake)
    monkeypatch.setattr(outdated.shutil, "which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(systemd, "require", lambda *words: steps.append(" ".join(words)))
    monkeypatch.setattr(nginx_upgrade, "upgrade", lambda _: steps.append("nginx"))
    monkeypatch.setattr(web_restart, "restart", lambda _: steps.append("web"))
    monkeypatch.setattr(state, "current", lambda _: "0a1b2c3d4e5f-aaaaaa")
    return steps


def test_each_kind_of_unit_is_restarted_in_its_own_way(run: list[str]):
    names = [systemd.NGINX, WEB, "gantry-process@x.service", "ssh.service"]
    assert outdated.restart(Paths(), names) == ["dbus.service"]
    listing = "needrestart -b -r l -l"
    restart = "restart --no-block gantry-process@x.service"
    assert run == ["nginx", "web", restart, "needrestart -q -r a -l", listing]


def test_an_app_that_does_not_restart_keeps_no_daemon_from_it(run: list[str], monkeypatch: pytest.MonkeyPatch):
    def fail(_: Paths) -> None:
        raise ReleaseError("the app doesn't start")

    monkeypatch.setattr(web_restart, "restart", fail)
    with pytest.raises(ReleaseError, match="the app doesn't start"):
        outdated.restart(Paths(), [WEB, "ssh.service"])
    assert run == ["needrestart -q -r a -l"]


def test_a_full_disk_keeps_no_daemon_from_its_restart_either(run: list[str], monkeypatch: pytest.MonkeyPatch):
    def fail(_: Paths) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(web_restart, "restart", fail)
    with pytest.raises(ReleaseError, match="No space left on device"):
        outdated.restart(Paths(), [WEB, "ssh.service"])
    assert run == ["needrestart -q -r a -l"]


def test_before_the_first_update_nothing_is_known_to_be_outdated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outdated.shutil, "which", lambda _: None)
    assert outdated.units() == []


def test_other_deployments_and_cron_jobs_are_left_alone(run: list[str]):
    outdated.restart(Paths(), ["gantry-web@0a1b2c3d4e5f-bbbbbb.service", "gantry-cron@x.service"])
    assert run == ["needrestart -b -r l -l"]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Paths, list[str]]:
    """A server with a deployment, and the steps of its restart. A deployment ``broken`` doesn't start."""
    paths, steps = Paths(tmp_path), list[str]()
    name = "0a1b2c3d4e5f-aaaaaa"
    files.write(paths.deployments / name / "web", b"#!/bin/sh\n", 0o755)
    files.write(paths.deployments / name / "port", b"PORT=20001\n", 0o644)
    files.write(paths.env_files / name, b'KEY="secret"\n', 0o600)
    files.write(paths.health_settings, json.dumps({"path": "/", "host": "a", "status": None}).encode(), 0o644)
    state.serve(paths, name)
    monkeypatch.setattr(deployment, "is_active", lambda _: False)
    monkeypatch.setattr(deployment, "start", lambda name: steps.append(f"start {name[-6:]}"))
    monkeypatch.setattr(health, "check_socket", lambda path, *_: steps.append(f"check {path.stem[-6:]}"))
    monkeypatch.setattr(systemd, "systemctl", lambda verb, unit: steps.append(f"{verb} {unit[-14:-8]}"))
    monkeypatch.setattr(web_restart, "_serve", lambda _, name: steps.append(f"serve {name[-6:]}"))
    return paths, steps


def test_a_stand_in_serves_while_the_web_process_is_restarted(served: tuple[Paths, list[str]]):
    paths, steps = served
    web_restart.restart(paths)
    other = steps[0].split()[1]
    assert steps == [
        *(f"{step} {other}" for step in ("start", "check", "serve")),
        *(f"{step} aaaaaa" for step in ("stop", "start", "check", "serve")),
        f"stop {other}",
    ]
    assert [folder.name for folder in paths.deployments.iterdir()] == ["0a1b2c3d4e5f-aaaaaa"]
    assert [file.name for file in paths.env_files.iterdir()] == ["0a1b2c3d4e5f-aaaaaa"]


def test_a_stand_in_that_fails_is_removed_and_the_old_process_serves_on(
    served: tuple[Paths, list[str]], monkeypatch: pytest.MonkeyPatch
):
    paths, steps = served

    def fail(*_: object) -> None:
        raise ReleaseError("unhealthy")

    monkeypatch.setattr(health, "check_socket", fail)
    with pytest.raises(ReleaseError, match="unhealthy"):
        web_restart.restart(paths)
    assert [step.split()[0] for step in steps] == ["start", "stop"]
    assert "stop aaaaaa" not in steps
    assert [folder.name for folder in paths.deployments.iterdir()] == ["0a1b2c3d4e5f-aaaaaa"]


def test_a_full_disk_leaves_no_files_of_the_stand_in(served: tuple[Paths, list[str]], monkeypatch: pytest.MonkeyPatch):
    paths, steps = served

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ports, "assign", fail)
    with pytest.raises(OSError, match="No space left"):
        web_restart.restart(paths)
    assert [step.split()[0] for step in steps] == ["stop"]
    assert paths.socket.readlink() == paths.deployment_socket("0a1b2c3d4e5f-aaaaaa")
    assert [folder.name for folder in paths.deployments.iterdir()] == ["0a1b2c3d4e5f-aaaaaa"]
    assert [file.name for file in paths.env_files.iterdir()] == ["0a1b2c3d4e5f-aaaaaa"]


def test_the_app_has_as_much_time_as_in_a_release(served: tuple[Paths, list[str]], monkeypatch: pytest.MonkeyPatch):
    paths, _ = served
    document = {"path": "/", "host": "a", "status": None, "timeout": 90, "interval": 2.0}
    files.write(paths.health_settings, json.dumps(document).encode(), 0o644)
    checks = list[HealthCheck]()
    monkeypatch.setattr(health, "check_socket", lambda _, check, subject: checks.append(check))
    web_restart.restart(paths)
    assert [(check.timeout, check.interval) for check in checks] == [(90, 2.0)] * 2


def test_a_stand_in_of_a_killed_run_serves_until_the_deployment_does(
    served: tuple[Paths, list[str]], monkeypatch: pytest.MonkeyPatch
):
    paths, steps = served
    monkeypatch.setattr(deployment, "is_active", lambda _: True)
    web_restart.restart(paths)
    assert steps[:3] == ["start aaaaaa", "check aaaaaa", "serve aaaaaa"]
    assert [step.split()[0] for step in steps[3:7]] == ["stop", "start", "check", "serve"]
