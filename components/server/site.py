"""Nginx's site on a server."""

from __future__ import annotations

import re
from collections.abc import Sequence

from components.server import pages
from components.server.limits import limits, site_values
from components.server.templates import render
from components.settings import aliases
from components.settings.common import Settings
from host import assets, ports, times
from host.paths import Paths

# The Retry-After header of the maintenance page.
MAINTENANCE_RETRY_SECONDS = 300
# Of TLS 1.2: https://ssl-config.mozilla.org/guidelines/6.0.json, "intermediate". OpenSSL chooses those of TLS 1.3.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
# Two years, as Mozilla recommends.
HSTS_SECONDS = 63072000
PATHS = Paths()


# The address in the stack's URL as Host, followed by the address that the server was reached at. On this computer, the
# two are the same. In a cloud, visitors use another one, which the server doesn't know.
SAME_ADDRESS, ANY_ADDRESS = r"\[?([0-9a-f:.]+)\]? \1", r"(?:[0-9.]+|\[[0-9a-f:.]+\]) .*"


def site(settings: Settings, balancer: Sequence[str], balancer_host: str = "") -> str:
    """The text of the site. ``balancer`` has the addresses and ranges of a balancer.

    ``balancer_host`` is the host in the balancer's URL. Without a DNS zone, that URL is the one that users get.
    """
    return render(
        "site.nginx.conf.j2",
        domain=settings.domain,
        paths=PATHS,
        pages_url=pages.URL,
        serves_app=True,
        unavailable=f"{pages.URL}/502" if balancer else pages.UNAVAILABLE,
        timed_out=f"{pages.URL}/504",
        asset_name=assets.NAME,
        balancer=balancer,
        scheme=_scheme(settings, balancer),
        served_names=[*_patterns(settings, aliases.SERVE), *([re.escape(balancer_host)] if balancer_host else [])],
        own_address=_own_address(settings, balancer),
        moved_names=_patterns(settings, aliases.REDIRECT),
        tls=settings.server_has_https,
        ciphers=":".join(CIPHERS),
        hsts=settings.hsts,
        hsts_seconds=HSTS_SECONDS,
        **site_values(limits(settings)),
        # None is Nginx's own default.
        request_seconds=settings.request_timeout if settings.request_timeout != times.REQUEST_SECONDS else None,
        requests_per_second=settings.requests_per_second,
        burst=times.BURST_SECONDS * (settings.requests_per_second or 0),
        https=settings.https,
        candidate_port=ports.CANDIDATE_PORT,
        maintenance=settings.maintenance,
        health_path=settings.health_path,
        health_pattern=_quoted_pattern(settings.health_path),
        retry_after=MAINTENANCE_RETRY_SECONDS,
        idle_seconds=times.SERVER_IDLE_SECONDS,
        app_idle_milliseconds=times.APP_IDLE_MILLISECONDS,
        app_connection_milliseconds=times.APP_CONNECTION_MILLISECONDS,
        log_flush_milliseconds=times.LOG_FLUSH_MILLISECONDS,
    )


def _scheme(settings: Settings, balancer: Sequence[str]) -> str:
    """Nginx's variable with the scheme that the visitor uses."""
    if balancer or settings.trusted_proxies:
        # They may send HTTP to the server. Only their header tells whether the visitor uses HTTPS.
        return "$visitors_scheme"
    return "$usual_scheme" if settings.server_has_https else "$scheme"


def _patterns(settings: Settings, choice: str) -> list[str]:
    """Regular expressions for the names that the app answers under, or for those that are redirected to the domain."""
    own = [settings.domain] if choice == aliases.SERVE else [f"www.{settings.domain}"]
    further = sorted(name for name, chosen in settings.aliases.items() if chosen == choice)
    return [re.escape(name) for name in filter(None, [*own, *further])]


def _own_address(settings: Settings, balancer: Sequence[str]) -> str:
    """A regular expression for the address in the stack's output ``url``; empty if that has a name."""
    if balancer or settings.target_settings.has_zone:
        return ""
    return SAME_ADDRESS if settings.target == "local" else ANY_ADDRESS


def _quoted_pattern(path: str) -> str:
    """A regular expression for exactly ``path``, to stand between double quotes in a file of Nginx."""
    # Between the quotes, Nginx itself reads these two characters and a backslash before one of them.
    special = {'"': r"\x22", "\\": r"\x5c"}
    return "".join(special.get(character) or re.escape(character) for character in path)
