"""Whether the authority will reach this server under a name. Asking it in vain would use up its rate limits."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from host import files
from host.certificates.record import Request
from host.paths import Paths

# The path of a challenge: https://www.rfc-editor.org/rfc/rfc8555#section-8.3
CHALLENGES = ".well-known/acme-challenge"
ANSWER_SECONDS = 5.0
PAUSE_SECONDS = 2.0
# A DNS server that doesn't answer takes 10 s or more for each name, and one certificate may have a hundred names.
NAMES_AT_ONCE = 20

# Whether a name leads to this server.
Reaches = Callable[[str], bool]


def unreachable(paths: Paths, request: Request, names: Iterable[str], *, wait: float = 0.0) -> dict[str, str]:
    """Those ``names`` that don't lead to this server, each with the reason and what to do.

    A record that `up` has just made may take some seconds. So this waits for the first name, up to ``wait`` seconds.
    """
    deadline = time.monotonic() + wait
    names = list(names)
    while True:
        with ThreadPoolExecutor(NAMES_AT_ONCE) as threads:
            reasons = threads.map(partial(_reason, paths, request), names)
            found = {name: reason for name, reason in zip(names, reasons, strict=True) if reason}
        if request.names[0] not in found or time.monotonic() >= deadline:
            return found
        time.sleep(PAUSE_SECONDS)


def _reason(paths: Paths, request: Request, name: str) -> str:
    if is_address(name):
        return ""
    return reason(name, request.address, addresses_of(name), reaches=lambda name: _answers(paths, name))


def reason(name: str, address: str, addresses: Sequence[str], reaches: Reaches) -> str:
    """Why the authority wouldn't reach this server under ``name``, and what to do; empty if it would.

    A name with another address may lead here through a CDN. A name with this server's address isn't tried, because
    some servers can't reach themselves under their own address.
    """
    kind = "AAAA" if ":" in address else "A"
    if not addresses:
        return f"DNS doesn't know {name}; create the record: {name}. {kind} {address}"
    if address in addresses or reaches(name):
        return ""
    return (
        f"{name} leads to {', '.join(addresses)} and not to this server; change its record to: {name}. {kind} {address}"
    )


def addresses_of(name: str) -> list[str]:
    """The IPv4 and IPv6 addresses of a name, sorted; empty if it has none, or if DNS doesn't answer."""
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})


def is_address(name: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def make_challenge_folder(paths: Paths) -> Path:
    """The folder of the files for the authority. Nginx's workers may read it, whatever the umask of this process is."""
    folder = paths.acme_challenges / CHALLENGES
    for folder_or_parent in (paths.acme, paths.acme_challenges, folder.parent, folder):
        files.make_folder(folder_or_parent, 0o755)
    return folder


def _answers(paths: Paths, name: str) -> bool:
    """Whether a request for a challenge of this server, sent to ``name``, gets it."""
    token = f"gantry-{os.urandom(8).hex()}"
    file: Path = paths.acme_challenges / CHALLENGES / token
    try:
        make_challenge_folder(paths)
        files.write(file, token.encode(), 0o644)
        with _OPENER.open(f"http://{name}/{CHALLENGES}/{token}", timeout=ANSWER_SECONDS) as answer:
            return answer.read(len(token) + 1) == token.encode()
    except (OSError, ValueError, http.client.HTTPException):
        # The last one: the name's server doesn't speak HTTP.
        return False
    finally:
        with suppress(OSError):
            file.unlink()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The name's server must not choose which address is asked next."""

    def redirect_request(self, *_arguments: object, **_values: object) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
