"""The part of Nginx's site that serves HTTPS. It depends on the certificate, which the server gets after the site."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from host.certificates import issued
from host.certificates.issued import CHAIN, KEY, Issued
from host.paths import Paths

# The authority chooses the names. No other text may get into Nginx's settings.
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")
_WILDCARD = "*."


def computed_files(paths: Paths, configured: Mapping[str, str]) -> Mapping[str, str]:
    """The content of the file, by its path on a server. Empty if the ``configured`` site doesn't include it."""
    if str(Paths().https_listener) not in configured.get(str(Paths().site), ""):
        return {}
    return {str(Paths().https_listener): content(issued.read(paths.certificate), time.time())}


def content(certificate: Issued | None, now: float) -> str:
    """The directives for a certificate. Without one, the site has only HTTP.

    The site redirects to HTTPS if ``$https_works`` is set, which a certificate that has ended doesn't do.
    """
    if certificate is None:
        return "# There is no certificate yet: sudo gantry renew-certificate\n"
    hosts = [] if certificate.has_ended(now) else sorted(map(_host, certificate.names))
    # One expression with a hundred names would be longer than Nginx allows. $host is in lower case, without a port.
    works = "".join(
        f"if ($host {_condition(host)}) {{\n    set $https_works 1;\n}}\n"
        for host in hosts
        if _HOST.fullmatch(host.removeprefix(_WILDCARD))
    )
    folder = Paths().certificate
    return f"""# Written by the host program, for the certificate: host/https_listener.py
listen 443 ssl default_server backlog=4096;
listen [::]:443 ssl default_server backlog=4096;
http2 on;
ssl_certificate {folder / CHAIN};
ssl_certificate_key {folder / KEY};
{works}"""


def _condition(host: str) -> str:
    """A wildcard stands for one part of a name."""
    if host.startswith(_WILDCARD):
        return rf'~ "^[^.]+\.{re.escape(host.removeprefix(_WILDCARD))}$"'
    return f'= "{host}"'


def _host(name: str) -> str:
    """The name as it stands in a URL."""
    return f"[{name}]" if ":" in name else name
