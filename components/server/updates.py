"""Security updates: files and links of the configurations of a server and of the local target's balancer."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from components.server.templates import render, text
from components.settings.common import CommonSettings
from host import systemd, update_window
from host.paths import Paths

PATHS = Paths()


@dataclass(frozen=True, kw_only=True)
class Updates:
    """How the servers of a stack update themselves.

    ``window`` is the setting updateWindow. ``servers`` is their number, with the local target's balancer. ``number`` is
    None on a server, whose host name has it. ``host.update_window.Plan`` describes ``drains`` and ``reboots``.
    """

    window: str | None = CommonSettings().update_window
    servers: int = 1
    number: int | None = None
    drains: bool = False
    reboots: bool = False

    def of_balancer(self) -> Updates:
        """The same for the balancer, which has the last number. Nothing serves while it reboots, so it doesn't."""
        return replace(self, number=self.servers - 1, drains=False, reboots=False)


def updates(settings: CommonSettings) -> Updates:
    return Updates(
        window=settings.update_window,
        # A cloud's balancer isn't a server of the stack.
        servers=settings.servers + (settings.balancer and settings.target == "local"),
        # A single server behind a balancer has nobody to serve meanwhile.
        drains=settings.servers > 1,
        reboots={"balanced": settings.servers > 1, "always": True, "never": False}[settings.update_reboots],
    )


def files(updates: Updates) -> dict[str, str]:
    """Contents by absolute path."""
    window = update_window.parse(updates.window) if updates.window else None
    document = {
        "window": updates.window,
        "days": window.days(updates.servers) if window else 1,
        "number": updates.number,
        "drains": updates.drains,
        "reboots": updates.reboots,
    }
    return {
        str(PATHS.update_settings): f"{json.dumps(document, indent=1)}\n",
        str(PATHS.apt_updates): render("updates.apt.conf.j2", window=updates.window),
        str(PATHS.needrestart_settings): render("needrestart.conf.j2", own_units=systemd.OWN_UNITS),
        str(PATHS.units / systemd.UPDATES_SERVICE): render(
            "updates.service.j2", gantry_command=PATHS.gantry_command, last_responses=PATHS.last_responses
        ),
        str(PATHS.units / systemd.UPDATES_TIMER): text("updates.timer"),
    }


def links() -> dict[str, str]:
    """The link that starts the timer at a boot."""
    return {str(PATHS.units / "timers.target.wants" / systemd.UPDATES_TIMER): f"../{systemd.UPDATES_TIMER}"}


def firewall(updates: Updates) -> str:
    """The table that rejects new connections during a drain."""
    return render("draining.nft.j2", drain_rule=PATHS.drain_rule) if updates.drains else ""
