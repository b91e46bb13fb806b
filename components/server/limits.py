"""The limits that a server and the local target's balancer share: files and links of their configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.server.templates import render, text
from components.settings.common import CommonSettings
from host import systemd, times
from host.paths import Paths

PATHS = Paths()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The settings of the same names. ``connections_per_address`` is None for no limit."""

    max_upload: int
    request_timeout: int
    drain_timeout: int
    log_days: int
    connections_per_address: int | None
    trusted_proxies: tuple[str, ...]
    socket_timeout: int


def limits(settings: CommonSettings) -> Limits:
    return Limits(
        max_upload=settings.max_upload,
        request_timeout=settings.request_timeout,
        drain_timeout=settings.drain_timeout,
        log_days=settings.log_days,
        connections_per_address=settings.connections_per_address,
        trusted_proxies=settings.trusted_proxies,
        socket_timeout=settings.socket_timeout,
    )


def firewall(limits: Limits) -> str:
    """The table that limits the connections of an address. Empty if there is no limit."""
    if limits.connections_per_address is None:
        return ""
    return render(
        "connections.nft.j2", connections=limits.connections_per_address, unlimited_rules=PATHS.unlimited_rules
    )


def unlimited_rules(limits: Limits, balancer: Sequence[str] = ()) -> dict[str, str]:
    """The file, by path, with the addresses that have no limit of connections."""
    sources = (*balancer, *limits.trusted_proxies)
    rules = [f"{'ip6' if ':' in source else 'ip'} saddr {source} accept\n" for source in sources]
    return {str(PATHS.unlimited_rules): "".join(rules)}


def site_values(limits: Limits) -> dict[str, object]:
    """The values of the templates in site/ that servers and the balancer share."""
    return {
        "proxies": limits.trusted_proxies,
        "max_upload": f"{limits.max_upload}m",
        "header_seconds": times.HEADER_SECONDS,
        "body_seconds": times.BODY_SECONDS,
        "socket_seconds": limits.socket_timeout,
    }


def nginx_files() -> dict[str, str]:
    """Nginx's settings outside of the site, by path.

    apt's settings keep Nginx's main file during upgrades, because host/nginx_limits.py changes a number in it.
    """
    return {
        str(PATHS.apt_settings): text("conffiles.apt.conf"),
        # Nginx's main file includes the files of this folder first, outside of all blocks.
        str(PATHS.nginx_process): render("process.nginx.conf.j2", shutdown_seconds=times.NGINX_SHUTDOWN_SECONDS),
    }


def log_files(limits: Limits) -> dict[str, str]:
    """The units that rotate the logs, and the settings of the journal, by path."""
    return {
        str(PATHS.units / systemd.LOGS_SERVICE): render(
            "logs.service.j2", gantry_command=PATHS.gantry_command, days=limits.log_days, paths=PATHS
        ),
        str(PATHS.units / systemd.LOGS_TIMER): text("logs.timer"),
        str(PATHS.journal_settings): render("journald.conf.j2", days=limits.log_days),
    }


def log_links() -> dict[str, str]:
    """The link that starts the rotation at a boot."""
    return {str(PATHS.units / "timers.target.wants" / systemd.LOGS_TIMER): f"../{systemd.LOGS_TIMER}"}
