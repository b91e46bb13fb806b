"""Reads a certificate: its names, and when it begins and ends."""

from __future__ import annotations

import ipaddress
import re
import ssl
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# The files of a folder with a certificate, as certbot names them.
CHAIN, KEY = "fullchain.pem", "privkey.pem"
# A certificate is renewed when this part of its life is left; a short one earlier. So does certbot, unless the
# authority names a time: https://eff-certbot.readthedocs.io/en/stable/using.html#renewing-certificates
_LAST_PART, _LAST_PART_OF_SHORT = 1 / 3, 1 / 2
_SHORT_SECONDS = 10 * 24 * 3600
# Servers and `make up` warn when less than this part of its life is left: the renewal has failed for some time.
WARNING_PART = 1 / 5


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate. ``begins`` and ``ends`` are seconds since the epoch."""

    names: frozenset[str]
    begins: float
    ends: float

    @property
    def lifetime(self) -> float:
        return self.ends - self.begins

    @property
    def renewal(self) -> float:
        """When it is renewed, in seconds since the epoch, unless the authority asks for another time."""
        return self.ends - self.lifetime * (_LAST_PART_OF_SHORT if self.lifetime < _SHORT_SECONDS else _LAST_PART)

    def is_late(self, now: float) -> bool:
        """Whether so little of its life is left that people must know."""
        return self.ends - now < self.lifetime * WARNING_PART

    def has_ended(self, now: float) -> bool:
        return now >= self.ends


def read(folder: Path) -> Issued | None:
    """The certificate in ``folder``; None if there is none that can be read, or if it isn't for the folder's key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / CHAIN, folder / KEY, password="")
    except (OSError, ValueError):
        return None
    # Debian's package of the trusted certificates needs openssl, too.
    command = ["openssl", "x509", "-in", str(folder / CHAIN), "-noout", "-dates", "-dateopt", "iso_8601"]
    result = subprocess.run([*command, "-ext", "subjectAltName"], capture_output=True, text=True)
    return parse(result.stdout) if result.returncode == 0 else None


def parse(text: str) -> Issued:
    """The certificate that openssl describes. Raises ValueError for another text."""
    begins, ends = (re.search(rf"^{name}=(.+)$", text, re.MULTILINE) for name in ("notBefore", "notAfter"))
    if not begins or not ends:
        raise ValueError("no dates of a certificate")
    names = re.findall(r"(?:DNS|IP Address):([^\s,]+)", text)
    return Issued(names=frozenset(map(_plain, names)), begins=_seconds(begins[1]), ends=_seconds(ends[1]))


def _plain(name: str) -> str:
    """The name in lower case, or the IPv6 address in its short form, as people write it."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(name))
    return name.lower()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace(" ", "T", 1)).timestamp()
