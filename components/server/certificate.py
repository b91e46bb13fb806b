"""The units that renew a server's certificate: files and links of its configuration."""

from __future__ import annotations

from components.server.templates import render, text
from host import systemd
from host.paths import Paths

PATHS = Paths()


def files() -> dict[str, str]:
    """Contents by absolute path. The units do nothing on a server that has asked for no certificate."""
    return {
        str(PATHS.units / systemd.CERTIFICATE_SERVICE): render(
            "certificate.service.j2", gantry_command=PATHS.gantry_command, record=PATHS.certificate_record
        ),
        str(PATHS.units / systemd.CERTIFICATE_TIMER): text("certificate.timer"),
    }


def links() -> dict[str, str]:
    """The link that starts the timer at a boot."""
    return {str(PATHS.units / "timers.target.wants" / systemd.CERTIFICATE_TIMER): f"../{systemd.CERTIFICATE_TIMER}"}
