"""The configuration of a server: the files and links that may change while it runs. It holds no secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.server import certificate, daemons, logins, pages, updates
from components.server.limits import (
    firewall,
    limits,
    log_files,
    log_links,
    nginx_files,
    unlimited_rules,
)
from components.server.site import site
from components.server.templates import render, text
from components.settings.common import Settings
from components.ssh import DEPLOY
from host import ports, run_prefix, swap, systemd, times, web_server
from host.health_check import DEFAULT_HOST
from host.packages.isolation import BUILD_USER
from host.paths import Paths

PATHS = Paths()
WEB_UNIT = str(PATHS.units / systemd.WEB_UNIT.format(""))


@dataclass(frozen=True)
class Configuration:
    """Contents of files and targets of symbolic links, both by absolute path."""

    files: dict[str, str]
    links: dict[str, str]

    def document(self, program_files: Mapping[str, str] | None = None) -> str:
        """JSON in which each line of a file has a line of its own: so a preview shows which lines change.

        Files that the host program brings with the same content are only named.
        """
        brought = [path for path, content in self.files.items() if (program_files or {}).get(path) == content]
        lines = {path: content.split("\n") for path, content in self.files.items() if path not in brought}
        return json.dumps({"files": lines, "program_files": brought, "links": self.links}, indent=1)

    def digest(self) -> str:
        """Six hex digits over the files that a web process starts with. A change of them is a new deployment."""
        start_files = [self.files[path] for path in (str(PATHS.gunicorn_settings), WEB_UNIT)]
        return hashlib.sha256(json.dumps(start_files).encode()).hexdigest()[:6]


def configuration(
    settings: Settings,
    host_program: str,
    balancer: Sequence[str] = (),
    *,
    balancer_host: str = "",
    restricted: bool = False,
) -> Configuration:
    """The configuration for ``settings``; ``host_program`` is the path of root's copy of the program on the server.

    With ``restricted``, the login for releases loses all of root's rights that releases don't need.

    ``balancer`` has the addresses and ranges of a balancer, which may send HTTP requests. All other clients may, too,
    until `gantry close` has run. ``balancer_host`` is the host in the balancer's URL.
    """
    return Configuration(
        files={
            str(PATHS.site): site(settings, balancer, balancer_host),
            str(PATHS.firewall): _firewall(settings),
            **_firewall_rules(balancer),
            **unlimited_rules(limits(settings), balancer),
            str(PATHS.gunicorn_settings): _gunicorn(settings),
            str(PATHS.older_gunicorn_requirements): text("gunicorn-older.txt"),
            str(PATHS.gevent_requirements): text("gunicorn-gevent.txt"),
            str(PATHS.python_mirror): settings.python_mirror or "",
            str(PATHS.apt_packages): "".join(f"{name}\n" for name in settings.apt_packages),
            **_units(settings),
            str(PATHS.build_sandbox): _build_sandbox(settings),
            **_scripts(),
            **log_files(limits(settings)),
            **nginx_files(),
            **pages.files(),
            str(PATHS.units / systemd.RESUME_UNIT): render("gantry.service.j2", gantry_command=PATHS.gantry_command),
            str(PATHS.health_settings): _health_check(settings),
            **daemons.files(),
            **certificate.files(),
            **updates.files(updates.updates(settings)),
            **(logins.files() if restricted else {}),
        },
        links={
            str(PATHS.site_link): "../sites-available/gantry",
            **{
                str(PATHS.units / "multi-user.target.wants" / unit): f"../{unit}"
                for unit in (systemd.RESUME_UNIT, systemd.SWAP_UNIT)
            },
            str(PATHS.host_program): host_program,
            **daemons.links(),
            **certificate.links(),
            **log_links(),
            **updates.links(),
        },
    )


def _gunicorn(settings: Settings) -> str:
    # Three workers on two cores served the most requests in the comparison of docs/performance.md.
    return render(
        "gunicorn.conf.py.j2",
        # An app that runs elsewhere may have this variable, which is Gunicorn's own.
        workers=settings.workers or 'int(os.environ.get("WEB_CONCURRENCY") or len(os.sched_getaffinity(0)) + 1)',
        threads=settings.threads,
        worker_seconds=times.worker_seconds(settings.request_timeout),
        graceful_seconds=times.graceful_seconds(settings.request_timeout, settings.drain_timeout),
        keepalive_seconds=times.GUNICORN_KEEPALIVE_SECONDS,
    )


def _health_check(settings: Settings) -> str:
    """What `gantry check` asks the app, in JSON: the fields of ``host.health_check.HealthCheck``."""
    check = {
        "path": settings.health_path,
        "host": settings.domain or DEFAULT_HOST,
        "status": settings.health_status,
        "scheme": "https" if settings.https else "http",
        # `gantry check` has a shorter limit. A restart of the app for an update has this one.
        "timeout": settings.health_timeout,
        "interval": settings.health_interval,
    }
    return f"{json.dumps(check, indent=1)}\n"


def _firewall(settings: Settings) -> str:
    """The first boot's firewall, and tables for the app's ports, for limits of connections and for drains."""
    # The user `app` exists since the first boot, but not yet when that loads its firewall.
    app_ports = render(
        "ports.nft.j2",
        app_ports=ports.APP_PORTS,
        candidate_port=ports.CANDIDATE_PORT,
        users=", ".join(("app", BUILD_USER, "www-data", DEPLOY)),
    )
    rest = firewall(limits(settings)) + updates.firewall(updates.updates(settings))
    return text("first-boot/firewall.nft") + app_ports + rest


def _firewall_rules(balancer: Sequence[str]) -> dict[str, str]:
    """The files that /etc/nftables.conf includes, in the order of their names."""
    admitted = [f'ip saddr {source} tcp dport 80 ct state new accept comment "the balancer"\n' for source in balancer]
    rules = {str(PATHS.admitted_rules): "".join(admitted)}
    # Behind a balancer, host/balancing.py closes the server once the balancer sends requests.
    return rules if balancer else {**rules, str(PATHS.closed_rule): ""}


def _units(settings: Settings) -> dict[str, str]:
    """The units that run the app's code. Web and release phase share a deployment's folder, others have their own."""
    limits = _limits(settings)
    shared = {
        **limits,
        "app_home": PATHS.app_home,
        "sockets": PATHS.sockets,
        "prefixes": PATHS.prefixes,
        "stop_script": PATHS.stop_script,
        "steady_script": PATHS.steady_script,
        "steady_seconds": times.STEADY_SECONDS,
        "restart_seconds": times.RESTART_SECONDS,
        "restart_steps": times.RESTART_STEPS,
        "longest_restart_seconds": times.LONGEST_RESTART_SECONDS,
    }
    folder, process_folder = PATHS.deployments / "%i", PATHS.processes / "%i"
    deployment = {**shared, "folder": folder, "app": folder / "app", "env_file": PATHS.env_files / "%i"}
    process = {
        **shared,
        "folder": process_folder,
        "app": process_folder / "app",
        "env_file": process_folder / "environment",
    }
    web = render(
        "web.service.j2",
        **deployment,
        socket=PATHS.deployment_socket("%i"),
        gantry_command=PATHS.gantry_command,
        start_seconds=settings.start_timeout,
        # Without a number, the host program waits for as long as the default says.
        drain_seconds=settings.drain_timeout if settings.drain_timeout != times.DRAIN_SECONDS else None,
        stop_seconds=times.web_stop_seconds(settings.request_timeout, settings.drain_timeout),
    )
    units = {
        systemd.WEB_UNIT: web,
        **_port_units(),
        systemd.RELEASE_UNIT: render(
            "release.service.j2",
            **{**deployment, "app": PATHS.phase_copies / "%i"},
            release_seconds=settings.release_timeout,
        ),
        systemd.BUILD_UNIT: render(
            "build.service.j2",
            **deployment,
            build_user=BUILD_USER,
            release_seconds=settings.release_timeout,
        ),
        systemd.PROCESS_UNIT: render("process.service.j2", **process, stop_seconds=settings.stop_timeout),
        systemd.CRON_SERVICE: render("cron.service.j2", **process, stop_seconds=settings.stop_timeout),
        systemd.CRON_TIMER: text("cron.timer"),
        systemd.APP_SLICE: render("gantry.slice.j2", **limits),
        systemd.SWAP_UNIT: render(
            "swap.service.j2",
            gantry_command=PATHS.gantry_command,
            resume_unit=systemd.RESUME_UNIT,
            size=swap.AUTO if settings.swap is None else settings.swap,
        ),
    }
    return {str(PATHS.units / name.format("")): content for name, content in units.items()}


def _limits(settings: Settings) -> dict[str, object]:
    return {"memory_limit": settings.memory_limit, "app_slice": systemd.APP_SLICE}


def _build_sandbox(settings: Settings) -> str:
    """The properties of the units in which packages are installed and built."""
    return render("limits.service.j2", **_limits(settings)) + text("sandbox.service.j2")


def _port_units() -> dict[str, str]:
    """The units that forward to the port of a web process, by name."""
    units = {"web_unit": systemd.WEB_UNIT.format("%i"), "socket_unit": systemd.PORT_SOCKET.format("%i")}
    forward_file = web_server.forward_file(PATHS, "%i")
    return {
        systemd.PORT_SOCKET: render("port.socket.j2", port_socket=PATHS.port_socket("%i"), web_unit=units["web_unit"]),
        systemd.PORT_SERVICE: render("port.service.j2", forward_file=forward_file, **units),
    }


def _scripts() -> dict[str, str]:
    """The programs that the app's units call."""
    command = PATHS.gantry_command
    prefix = render("prefix.sh.j2", gantry_command=command)
    return {
        str(PATHS.stop_script): render("stop.sh.j2", gantry_command=command),
        str(PATHS.steady_script): text("steady.sh"),
        **{str(PATHS.prefixes / tool): prefix for tool in run_prefix.TOOLS},
    }
