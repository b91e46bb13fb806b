"""From Nginx to the app: the link that Nginx follows, the web process behind it, and the health check."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from host import deployment, files, health, health_advice, resume, state, systemd
from host.health_check import HealthCheck
from host.layers import nginx
from host.layers.finding import Finding
from host.paths import Paths

SOCKET, HEALTH = "socket", "health check"
GUNICORN, OTHER = "Gunicorn", "web process"
# A visitor's request through Nginx comes after the one to the app itself, and both within the second of a check.
NGINX_SECONDS = 0.3
# How long a deployment has to become healthy before it replaces another one that serves.
RESTORED_SECONDS = 30.0
GO_BACK = "or return to a release of `gantry status`: pulumi config set release <release>, then make up"


def findings(paths: Paths, seconds: float, *, nginx_runs: bool) -> Iterator[Finding]:
    """Look at the layers of the deployment that should serve. ``seconds`` is the limit for the app's answer.

    Without ``nginx_runs`` only the app itself is asked.
    """
    name = state.current(paths)
    if name is None:
        yield _nothing_serves(paths)
        return
    process = _web_process(paths, name)
    yield _socket(paths, name, is_running=not process.problem)
    yield process
    if not process.problem:
        yield _health(paths, seconds, nginx_runs=nginx_runs)


def _nothing_serves(paths: Paths) -> Finding:
    proven = state.proven(paths)
    if proven and (paths.deployments / proven).is_dir():
        return Finding(
            layer=HEALTH,
            problem=f"{paths.current} is missing, which names the release that serves",
            remedy="sudo gantry check --repair",
            repair=lambda: resume.serve_again(paths),
        )
    # The state may say that this server has the release. Then `make up` has nothing to do.
    again = f"bin/pulumi up --replace '**{socket.gethostname()}-release'"
    return Finding(
        layer=HEALTH,
        problem="no release serves: visitors get 503",
        remedy=f"release the app with `make up`; if that changes nothing, with: {again}",
    )


def _socket(paths: Paths, name: str, *, is_running: bool) -> Finding:
    expected = paths.deployment_socket(name)
    if not paths.socket.is_symlink():
        return _broken_link(paths, f"{paths.socket} is missing: Nginx finds no app", name)
    if paths.socket.readlink() != expected:
        return _broken_link(paths, f"{paths.socket} leads to {paths.socket.readlink()}, not to {expected}", name)
    if is_running and (error := _connect_error(paths)):
        unit = deployment.unit(name)
        return Finding(
            layer=SOCKET,
            problem=f"{expected} doesn't accept connections ({error}), although the web process runs",
            remedy=f"sudo systemctl restart {unit}",
            repair=lambda: _restart(name),
        )
    return Finding(layer=SOCKET)


def _broken_link(paths: Paths, problem: str, name: str) -> Finding:
    return Finding(
        layer=SOCKET,
        problem=problem,
        remedy="sudo gantry check --repair",
        repair=lambda: _restore_link(paths, name),
    )


def _restore_link(paths: Paths, name: str) -> None:
    """Let Nginx find the deployment that should serve. If another one serves, this one must be healthy first.

    An update that was killed during a restart of the app leaves the link at the stand-in, which serves.
    """
    if not _connect_error(paths):
        _start(name, unmask=True)
        if check := health_check(paths, RESTORED_SECONDS):
            health.check_socket(paths.deployment_socket(name), check, "the app")
    files.point(paths.socket, paths.deployment_socket(name))


def _connect_error(paths: Paths) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(NGINX_SECONDS)
        try:
            connection.connect(str(paths.socket))
        except (BlockingIOError, TimeoutError):
            # The queue of connections is full, so a process listens. The health check tells whether it answers.
            return ""
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _web_process(paths: Paths, name: str) -> Finding:
    unit, layer = deployment.unit(name), _layer(paths, name)
    shown = systemd.show(unit, "LoadState", "ActiveState", "SubState", "NRestarts", "ExecMainCode", "ExecMainStatus")
    if shown["LoadState"] == "masked":
        return Finding(
            layer=layer,
            problem=f"{unit} is masked",
            remedy=f"sudo systemctl unmask {unit} && sudo systemctl start {unit}",
            repair=lambda: _start(name, unmask=True),
        )
    if shown["ActiveState"] == "active":
        count = int(shown["NRestarts"] or 0)
        return Finding(layer=layer, note=f"systemd has restarted it {count} times" if count else "")
    end = systemd.end_of(shown["ExecMainCode"], shown["ExecMainStatus"])
    if shown["ActiveState"] in systemd.STOPPED:
        return Finding(
            layer=layer,
            problem=f"{unit} is {shown['ActiveState']}{end}",
            remedy=f"sudo systemctl start {unit}",
            repair=lambda: _start(name),
        )
    lines = systemd.journal_of_all_starts(unit).splitlines()
    last = f"; its last line: {lines[-1]}" if lines else ""
    return Finding(
        layer=layer,
        problem=f"{unit} doesn't run: {shown['ActiveState']} ({shown['SubState']}){end}{last}",
        remedy=f"see its last lines: sudo journalctl --unit {unit} --lines 50; {GO_BACK}",
    )


def _layer(paths: Paths, name: str) -> str:
    with suppress(OSError):
        return GUNICORN if "gunicorn" in (paths.deployments / name / "web").read_text() else OTHER
    return OTHER


def _health(paths: Paths, seconds: float, *, nginx_runs: bool) -> Finding:
    """Ask the app itself, then Nginx. So the answer tells which of the two is broken."""
    check = health_check(paths, seconds)
    if check is None:
        return Finding(layer=HEALTH, note="not asked: an earlier version has configured this server")
    answer = health.socket_answer(paths.socket, check)
    if not check.is_healthy(answer):
        return Finding(
            layer=HEALTH,
            problem=health_advice.reason("the app", check, answer),
            remedy=f"see its last lines: sudo journalctl --unit 'gantry-web@*' --lines 50; {GO_BACK}",
        )
    if not nginx_runs:
        return Finding(layer=HEALTH)
    through_nginx = health.answer_of("127.0.0.1", replace(check, timeout=max(NGINX_SECONDS, seconds / 2)))
    if check.is_healthy(through_nginx):
        return Finding(layer=HEALTH)
    return Finding(
        layer=nginx.LAYER,
        problem=f"it doesn't pass requests on: GET {check.path} answered {through_nginx}, and the app itself {answer}",
        remedy="sudo gantry check --repair; see also: sudo tail /var/log/nginx/error.log",
        repair=lambda: nginx.restore(paths, restart=True),
    )


def health_check(paths: Paths, seconds: float) -> HealthCheck | None:
    """The health check of the settings with a limit of ``seconds``; None if there is no file with it."""
    try:
        return replace(HealthCheck.read(paths), timeout=seconds)
    except (OSError, ValueError, TypeError):
        return None


def _start(name: str, *, unmask: bool = False) -> None:
    if unmask:
        systemd.systemctl("unmask", deployment.unit(name))
    deployment.start(name)


def _restart(name: str) -> None:
    systemd.require("restart", deployment.unit(name))
