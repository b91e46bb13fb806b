"""Keeps a machine's daemons and firewall running, and confines Nginx: systemd's drop-ins, and a unit for the rules."""

from __future__ import annotations

from components.server.templates import render, text
from host import systemd
from host.paths import Paths

PATHS = Paths()


def files() -> dict[str, str]:
    """Contents by absolute path, for servers and for the local target's balancer."""
    return {
        str(PATHS.unit_drop_ins(systemd.NGINX) / "sandbox.conf"): render(
            "nginx-sandbox.conf.j2", sockets=PATHS.sockets
        ),
        **{str(PATHS.restart_drop_in(unit)): text("restart.conf") for unit in systemd.DAEMONS},
        str(PATHS.firewall_keeper): text("firewall/keep.sh"),
        str(PATHS.units / systemd.FIREWALL_UNIT): text("firewall/gantry-firewall.service"),
    }


def links() -> dict[str, str]:
    """Targets of symbolic links, by absolute path."""
    return {str(PATHS.units / "multi-user.target.wants" / systemd.FIREWALL_UNIT): f"../{systemd.FIREWALL_UNIT}"}
