"""A server and the balancer in front of it: when it has been found there, and that nobody else asks for pages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from host import files
from host.configure import reload_firewall
from host.console import phase
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths
from host.visitors import Log, Request

LOOK_SECONDS = 0.2
# After the balancer's addresses, which admitted.nft of the configuration lets in: first-boot/firewall.nft.
CLOSED = "tcp dport { 80, 443 } ct state new drop\n"


def wait_until_found(
    paths: Paths, sources: Sequence[str], *, expect: int | None = None, settle: float, limit: float
) -> None:
    """Wait for a health check that is answered well, and then ``settle`` seconds, for as many as a balancer wants.

    It comes from one of ``sources``, addresses or ranges, in the name of no visitor. Well is the status ``expect``, or
    any 2xx or 3xx. Raises ReleaseError where none has come after ``limit`` seconds.
    """
    ranges = [ip_network(source) for source in sources]

    def found(request: Request) -> bool:
        well = request.status == expect if expect else 200 <= request.status < 400
        return well and any(ip_address(request.address) in each for each in ranges)

    log, deadline = Log(paths.requests), time.monotonic() + limit
    with phase("joined"):
        while not any(map(found, log.new())):
            if time.monotonic() >= deadline:
                raise ReleaseError(
                    f"no health check of the balancer, from {', '.join(sources)}, was answered well in {limit:.0f} s:"
                    " see whether it is active and may reach port 80 of this server, and run the command again"
                )
            time.sleep(LOOK_SECONDS)
        time.sleep(settle)


def close(paths: Paths, patience: float = 0) -> None:
    """Let nobody but the balancer ask for pages: it is what visitors are led to by now.

    Where the server was open, ``patience`` seconds later: for so long visitors may remember another address.
    """
    if not (paths.closed.is_file() and paths.closed.read_text() == CLOSED):
        time.sleep(patience)
    with exclusive(paths.lock, "a change of its firewall"), phase("close") as notes:
        if not files.write(paths.closed, CLOSED.encode(), 0o644):
            notes.append("unchanged")
        # Also then: a run that was killed may not have come so far.
        reload_firewall()
