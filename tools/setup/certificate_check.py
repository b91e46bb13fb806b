"""Warns after `make up` if the site's certificate ends soon."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from components import ssh
from host.certificates.issued import Issued
from tools.login import login_to
from tools.setup.site_check import Machine, Site

ANSWER_SECONDS, SSH_SECONDS = 5.0, 20.0
STATUS = ["sudo", "gantry", "status", "--json"]
DAY_SECONDS = 24 * 3600

# The last error of a server's requests for a certificate, empty if it knows none.
LastError = Callable[[], str]


def warning(site: Site, stack: str, server: str, last_error: LastError, now: float | None = None) -> str:
    """The warning, or an empty text. ``last_error`` is called only if there is one."""
    now = time.time() if now is None else now
    certificate = _certificate(site)
    if certificate is None or not certificate.is_late(now):
        return ""
    error = last_error()
    return (
        f"warning: the certificate of {site.url} ends in {_span(certificate.ends - now)}, and wasn't renewed"
        f"{f': {error}' if error else ''}\n  To see more: bin/ssh --stack {stack} {server} sudo gantry status"
    )


def _certificate(site: Site) -> Issued | None:
    """The site's certificate, without its names; None if the site has no HTTPS, or a certificate that isn't trusted."""
    parts = urlsplit(site.url)
    if parts.scheme != "https":
        return None
    host = parts.hostname or ""
    try:
        with (
            socket.create_connection((host, parts.port or 443), timeout=ANSWER_SECONDS) as connection,
            site.context().wrap_socket(connection, server_hostname=host) as secure,
        ):
            shown: Mapping[str, Any] = secure.getpeercert() or {}
    except OSError:
        # The check of the site says what is wrong.
        return None
    begins, ends = (float(ssl.cert_time_to_seconds(str(shown[name]))) for name in ("notBefore", "notAfter"))
    return Issued(names=frozenset(), begins=begins, ends=ends)


def _span(seconds: float) -> str:
    if seconds < 2 * DAY_SECONDS:
        return f"{max(0, seconds) / 3600:.0f} hours"
    return f"{seconds / DAY_SECONDS:.0f} days"


def error_of(machine: Machine, outputs: Mapping[str, Any]) -> str:
    """What `gantry status` says about the last request for a certificate; empty if it can't be asked."""
    try:
        result = ssh.run(login_to(vars(machine), outputs), STATUS, timeout=SSH_SECONDS)
        status: dict[str, Any] = json.loads(result.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    certificate: dict[str, Any] = status.get("certificate") or {}
    return str(certificate.get("problem") or "")
