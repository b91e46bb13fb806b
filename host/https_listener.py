"""The part of Nginx's site that serves HTTPS. It depends on the certificate, which the server gets after the site."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from host.certificates import issued
from host.certificates.issued import CHAIN, KEY
from host.paths import Paths


def computed_files(paths: Paths, configured: Mapping[str, str]) -> Mapping[str, str]:
    """The content of the file, by its path on a server. Empty if the ``configured`` site doesn't include it."""
    if str(Paths().https_listener) not in configured.get(str(Paths().site), ""):
        return {}
    certificate = issued.read(paths.certificate)
    return {str(Paths().https_listener): content(certificate.names if certificate else ())}


def content(names: Collection[str]) -> str:
    """The directives for a certificate for ``names``; without names there is none, and the site has only HTTP.

    The site redirects to HTTPS if ``$https_works`` is set.
    """
    if not names:
        return "# There is no certificate yet: sudo gantry renew-certificate\n"
    pattern = "|".join(re.escape(name) for name in sorted(names))
    folder = Paths().certificate
    return f"""# Written by the host program, for the certificate: host/https_listener.py
listen 443 ssl default_server backlog=4096;
listen [::]:443 ssl default_server backlog=4096;
http2 on;
ssl_certificate {folder / CHAIN};
ssl_certificate_key {folder / KEY};
if ($host ~ "^(?:{pattern})$") {{
    set $https_works 1;
}}
"""
