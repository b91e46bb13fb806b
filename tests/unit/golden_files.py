"""Renders the templates that have golden files. Write these with: python3 -m tests.unit.golden_files"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.server.configuration import PATHS, WEB_UNIT, configuration
from tests.stack_settings import make_settings

FOLDER = Path(__file__).parent / "golden"
COMMAND = "python3 -m tests.unit.golden_files"
BALANCER = ("10.77.0.0/24",)
ALIASES = {"shop.example.net": "redirect", "app.example.net": "serve"}

LIMITS: dict[str, Any] = {"max_upload": 200, "request_timeout": 120, "socket_timeout": 300, "drain_timeout": 100}


def rendered_files() -> dict[str, str]:
    """The texts of all cases, by the name of the golden file."""
    return {
        "site-single.txt": _file(PATHS.site),
        "site-domain.txt": _file(PATHS.site, domain="example.org"),
        "site-aliases.txt": _file(PATHS.site, domain="example.org", aliases=ALIASES),
        "site-tls-address.txt": _file(PATHS.site, tls="auto"),
        "site-tls.txt": _file(PATHS.site, domain="example.org", tls="auto", hsts=True, maintenance=True),
        "site-balanced.txt": _file(PATHS.site, balancer=BALANCER, domain="example.org"),
        "site-https.txt": _https_file(PATHS.site),
        "site-maintenance.txt": _file(PATHS.site, maintenance=True),
        "site-balanced-maintenance.txt": _file(PATHS.site, balancer=BALANCER, maintenance=True),
        "site-limits.txt": _file(PATHS.site, **LIMITS),
        "web-unit.txt": _file(WEB_UNIT),
        "web-unit-limits.txt": _file(WEB_UNIT, **LIMITS),
        "gunicorn.txt": _file(PATHS.gunicorn_settings),
        "page-413.html": _file(PATHS.pages / "413.html"),
        "page-413.json": _file(PATHS.pages / "413.json"),
        "gunicorn-workers.txt": _file(PATHS.gunicorn_settings, workers=7, threads=3),
    }


def _file(path: Path | str, *, balancer: Sequence[str] = (), **changes: Any) -> str:
    return configuration(make_settings(**changes), "/opt/gantry/incoming/host-1.pyz", balancer).files[str(path)]


def _https_file(path: Path) -> str:
    """The file of a server whose balancer has a certificate."""
    settings = make_settings(domain="example.org", balancer=True, target="aws", zone="example.org")
    return configuration(settings, "/opt/gantry/incoming/host-1.pyz", BALANCER).files[str(path)]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in rendered_files().items():
        (FOLDER / name).write_text(text)
