"""Each layer of `gantry check`: its reports and its repairs. tests/machine has the same on a server."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from host import deployment, files, health, resume, systemd
from host.errors import ReleaseError
from host.health_check import Answer
from host.layers import app, balancer, firewall, listeners, machine, nginx
from host.layers.finding import Finding
from host.layers.listeners import Listener
from host.paths import Paths

NAME = "3f2a000000aa-123456"
APACHE = Listener("apache2", 812, "apache2.service")
RUNNING = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "SubState": "running"}
RUNNING |= {"NRestarts": "0", "ExecMainCode": "0", "ExecMainStatus": "0"}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The properties that systemd shows for every unit. A test changes them."""
    properties = dict(RUNNING)
    monkeypatch.setattr(systemd, "show", lambda *_: properties)
    monkeypatch.setattr(systemd, "journal_of_all_starts", lambda *_: "KeyError: 'DATABASE_URL'")
    return properties


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> list[Listener]:
    """The processes that listen on port 80. Nginx does if its unit runs."""
    others: list[Listener] = []
    monkeypatch.setattr(listeners, "on", lambda _: others)
    monkeypatch.setattr(nginx, "accepts", lambda _: True)
    monkeypatch.setattr(nginx, "_mistake", lambda: "")
    return others


def test_a_running_nginx_is_fine(paths: Paths, unit: dict[str, str], port: list[Listener]):
    assert nginx.finding(paths) == Finding(layer="Nginx")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"LoadState": "masked", "ActiveState": "inactive"}, "nginx.service is masked"),
        ({"ActiveState": "failed"}, "nginx.service is failed"),
        ({"ActiveState": "inactive"}, "nginx.service is inactive"),
        ({"UnitFileState": "disabled"}, "nginx.service is disabled: it won't start at a boot"),
    ],
)
def test_an_nginx_that_is_stopped_masked_or_disabled_is_started(
    paths: Paths,
    unit: dict[str, str],
    port: list[Listener],
    changes: dict[str, str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
):
    unit.update(changes)
    calls: list[str] = []
    monkeypatch.setattr(systemd, "systemctl", lambda *words: calls.append(" ".join(words)) or CompletedProcess([], 0))
    found = nginx.finding(paths)
    assert found.problem == problem
    assert found.repair
    found.repair()
    assert calls[-3:] == ["unmask nginx.service", "enable nginx.service", "start nginx.service"]


def test_a_wrong_configuration_is_named_with_its_file_and_line(
    paths: Paths, unit: dict[str, str], port: list[Listener], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nginx, "_mistake", lambda: 'unknown directive "foo" in /etc/nginx/nginx.conf:3')
    assert nginx.finding(paths).problem == (
        "its configuration is wrong, and it runs with its earlier one until its next start:"
        ' unknown directive "foo" in /etc/nginx/nginx.conf:3'
    )


def test_another_process_on_the_port_is_named_with_the_command_that_stops_it_and_is_not_touched(
    paths: Paths, unit: dict[str, str], port: list[Listener]
):
    unit["ActiveState"] = "activating"
    port.append(APACHE)
    found = nginx.finding(paths)
    assert found.problem == "apache2 (process 812 of apache2.service) listens on port 80, so Nginx can't start"
    assert found.remedy == "sudo systemctl disable --now apache2.service"
    assert found.repair is None
    port[0] = Listener("python3", 7, "")
    assert nginx.finding(paths).remedy == "sudo kill 7"


def test_a_release_waits_for_an_nginx_that_systemd_restarts(
    paths: Paths, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    answers = iter([False, False, True])
    unit["ActiveState"] = "activating"
    monkeypatch.setattr(nginx, "accepts", lambda _: next(answers))
    nginx.ensure(paths)


def test_a_release_that_finds_no_nginx_names_the_reason_and_not_the_app(
    paths: Paths, unit: dict[str, str], port: list[Listener], monkeypatch: pytest.MonkeyPatch
):
    unit["ActiveState"] = "failed"
    port.append(APACHE)
    monkeypatch.setattr(nginx, "accepts", lambda _: False)
    with pytest.raises(nginx.NginxError) as error:
        nginx.ensure(paths)
    assert "apache2 (process 812 of apache2.service) listens on port 80" in error.value.message
    assert "This isn't the app's fault" in error.value.advice


def test_the_process_that_listens_on_a_port_is_found():
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = listeners.on(server.getsockname()[1])
    assert [listener.process for listener in found] == [os.getpid()]


def test_nobody_listens_on_a_port_that_is_only_connected_to():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert listeners.on(client.getsockname()[1]) == []


@pytest.fixture
def deployed(paths: Paths, unit: dict[str, str]) -> Paths:
    """A server that serves a deployment, whose socket accepts connections."""
    files.point(paths.current, paths.deployments / NAME)
    files.point(paths.socket, paths.deployment_socket(NAME))
    files.write(paths.deployments / NAME / "web", b"exec gunicorn app:app", 0o755)
    return paths


def findings(paths: Paths) -> dict[str, Finding]:
    """The findings about the app, by layer."""
    return {finding.layer: finding for finding in app.findings(paths, 0.1, nginx_runs=True)}


def test_a_missing_or_wrong_link_to_the_socket_is_restored(deployed: Paths):
    for change in (deployed.socket.unlink, lambda: files.point(deployed.socket, "/elsewhere")):
        change()
        found = findings(deployed)["socket"]
        assert "web.sock" in found.problem
        assert found.repair
        found.repair()
        assert deployed.socket.readlink() == deployed.deployment_socket(NAME)


class StandIn:
    """Another deployment that serves, because an update was killed while it restarted the web process."""

    def __init__(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        monkeypatch.setattr(app, "_connect_error", lambda _: "")
        monkeypatch.setattr(systemd, "systemctl", lambda *_: CompletedProcess([], 0))
        monkeypatch.setattr(deployment, "start", lambda _: self.steps.append("start"))
        monkeypatch.setattr(health, "check_socket", lambda *_: self.steps.append("check"))
        files.write(paths.health_settings, b'{"path": "/", "host": "a", "timeout": 90, "interval": 2}', 0o644)
        files.point(paths.socket, "/run/gantry/stand-in.sock")


def test_a_stand_in_serves_until_the_deployment_is_healthy(deployed: Paths, monkeypatch: pytest.MonkeyPatch):
    stand_in = StandIn(deployed, monkeypatch)
    found = findings(deployed)["socket"]
    assert found.repair
    found.repair()
    assert stand_in.steps == ["start", "check"]
    assert deployed.socket.readlink() == deployed.deployment_socket(NAME)


def test_a_stand_in_serves_on_if_the_deployment_is_unhealthy(deployed: Paths, monkeypatch: pytest.MonkeyPatch):
    StandIn(deployed, monkeypatch)

    def fail(*_: object) -> None:
        raise ReleaseError("unhealthy")

    monkeypatch.setattr(health, "check_socket", fail)
    found = findings(deployed)["socket"]
    assert found.repair
    with pytest.raises(ReleaseError, match="unhealthy"):
        found.repair()
    assert str(deployed.socket.readlink()) == "/run/gantry/stand-in.sock"


def test_the_limit_of_a_check_replaces_that_of_the_settings(deployed: Paths, monkeypatch: pytest.MonkeyPatch):
    StandIn(deployed, monkeypatch)
    check = app.health_check(deployed, 0.1)
    assert check and (check.timeout, check.interval) == (0.1, 2)


def test_a_stopped_web_process_is_started(deployed: Paths, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    started: list[str] = []
    monkeypatch.setattr(deployment, "start", started.append)
    unit["ActiveState"] = "inactive"
    found = findings(deployed)
    assert found["Gunicorn"].problem == f"gantry-web@{NAME}.service is inactive"
    assert found["Gunicorn"].repair
    found["Gunicorn"].repair()
    assert started == [NAME]
    assert "health check" not in found


def test_an_app_that_crashes_at_each_start_is_named_with_its_last_line_and_is_not_repaired(
    deployed: Paths, unit: dict[str, str]
):
    unit.update(ActiveState="activating", SubState="auto-restart", ExecMainCode="1", ExecMainStatus="3")
    found = findings(deployed)["Gunicorn"]
    assert "(exit status 3); its last line: KeyError: 'DATABASE_URL'" in found.problem
    assert "pulumi config set release" in found.remedy
    assert found.repair is None


def test_a_web_process_that_removed_its_socket_is_restarted(deployed: Paths):
    found = findings(deployed)["socket"]
    assert "doesn't accept connections (No such file or directory)" in found.problem
    assert found.remedy == f"sudo systemctl restart gantry-web@{NAME}.service"


@pytest.mark.parametrize(
    ("own", "through_nginx", "layer", "problem"),
    [
        (Answer(200), Answer(200), "health check", ""),
        (Answer(500), Answer(500), "health check", "the app isn't healthy: GET /healthz answered 500"),
        (
            Answer(200),
            Answer(404),
            "Nginx",
            "it doesn't pass requests on: GET /healthz answered 404, and the app itself",
        ),
    ],
)
def test_the_health_check_tells_whether_the_app_or_nginx_is_broken(
    deployed: Paths,
    monkeypatch: pytest.MonkeyPatch,
    own: Answer,
    through_nginx: Answer,
    layer: str,
    problem: str,
):
    files.write(deployed.health_settings, b'{"path": "/healthz", "host": "a", "status": null, "scheme": "http"}', 0o644)
    monkeypatch.setattr(health, "socket_answer", lambda *_: own)
    monkeypatch.setattr(health, "answer_of", lambda *_: through_nginx)
    found = findings(deployed)[layer]
    assert found.problem.startswith(problem)
    assert bool(found.problem) is bool(problem)


def test_a_server_without_a_release_says_so(paths: Paths):
    [found] = app.findings(paths, 0.1, nginx_runs=True)
    assert found.problem == "no release serves: visitors get 503"
    # The operator's state may say that the server has the release.
    assert found.remedy.endswith(f"bin/pulumi up --replace '**{socket.gethostname()}-release'")


def test_a_missing_link_to_the_current_release_is_restored(deployed: Paths, monkeypatch: pytest.MonkeyPatch):
    served: list[Paths] = []
    monkeypatch.setattr(resume, "serve_again", served.append)
    files.point(deployed.proven, deployed.current.readlink())
    deployed.current.unlink()
    [found] = app.findings(deployed, 0.1, nginx_runs=True)
    assert found.problem.startswith(f"{deployed.current} is missing")
    assert found.repair
    found.repair()
    assert served == [deployed]


@pytest.mark.parametrize(
    ("status", "stderr", "problem"),
    [
        (1, "", "the kernel's rules differ from those of"),
        (
            2,
            "/etc/nftables.conf:3:1: Error: syntax error",
            "can't be loaded: /etc/nftables.conf:3:1: Error: syntax error",
        ),
    ],
)
def test_changed_rules_and_a_wrong_file_of_rules_are_told_apart(paths: Paths, status: int, stderr: str, problem: str):
    files.write(paths.firewall_keeper, f"#!/bin/sh\necho '{stderr}' >&2\nexit {status}\n".encode(), 0o755)
    found = firewall.finding(paths)
    assert problem in found.problem
    assert found.repair


def test_a_full_disk_and_a_full_memory_are_named_with_their_sizes(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = machine.shutil.disk_usage("/")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(total=9_000_000_000, free=1_000_000))
    assert machine.disk(paths).problem == "/ has 1 of 9000 MB free"
    (tmp_path / "meminfo").write_text("MemTotal: 512000 kB\nMemAvailable: 9000 kB\nSwapFree: 0 kB\n")
    (tmp_path / "vmstat").write_text("oom_kill 2\n")
    assert machine.memory(tmp_path).problem == "8 of 500 MB are available"
    (tmp_path / "meminfo").write_text("MemTotal: 512000 kB\nMemAvailable: 9000 kB\nSwapFree: 90000 kB\n")
    assert machine.memory(tmp_path).problem == ""
    assert "2 processes were killed for lack of memory" in machine.memory(tmp_path).note


def test_a_balancer_asks_each_server_once(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    rules = ["ip daddr 192.0.2.1 dnat to 10.77.0.2", "ip daddr 192.0.2.2 dnat to 10.77.0.3"]
    files.write(paths.firewall, "\n".join([*rules, "ip daddr 192.0.2.3 dnat to 10.77.0.2"]).encode(), 0o644)
    answers = {"192.0.2.3": Answer(200), "192.0.2.2": Answer(None, "nothing within 0.1 s")}
    monkeypatch.setattr(health, "answer_of", lambda place, _: answers[place])
    assert balancer.is_balancer(paths)
    [found] = balancer.findings(paths, 0.1)
    assert found.problem == "10.77.0.3 answered nothing within 0.1 s"


def test_no_table_of_gantry_counts_as_somebody_elses():
    folder = Path(__file__).parents[2] / "cloud-init"
    templates = [file.read_text() for file in folder.rglob("*") if ".nft" in file.name]
    names = {name for text in templates for name in re.findall(r"^table \w+ (\w+)", text, re.MULTILINE)}
    assert {*firewall.OWN_TABLES} == names
