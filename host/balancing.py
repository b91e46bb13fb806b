"""A server behind a balancer: waits until the balancer's health checks succeed, and rejects all other requests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from host import files
from host.access_log import Log, LogEntry
from host.configure import reload_firewall
from host.console import phase
from host.errors import ReleaseError
from host.health_check import HEALTHY_STATUSES
from host.lock import exclusive
from host.paths import Paths

LOG_INTERVAL_SECONDS = 0.2
# The firewall reads this rule after admitted.nft, which admits the balancer's addresses: first-boot/firewall.nft.
CLOSED = "tcp dport { 80, 443 } ct state new drop\n"


def wait_for_balancer(
    paths: Paths, sources: Sequence[str], *, expect: int | None = None, settle: float, limit: float
) -> None:
    """Wait for a successful health check of the balancer, then ``settle`` seconds for its further checks.

    ``sources`` are the addresses and ranges that its checks come from. Nginx logs a forwarded request with the
    visitor's address, so only checks have these addresses. A check is successful if the response has the status
    ``expect``, or any 2xx or 3xx if that is None. Raises ReleaseError after ``limit`` seconds.
    """
    ranges = [ip_network(source) for source in sources]

    def is_successful_check(entry: LogEntry) -> bool:
        healthy = entry.status == expect if expect else entry.status in HEALTHY_STATUSES
        return healthy and any(ip_address(entry.address) in network for network in ranges)

    log, deadline = Log(paths.access_log), time.monotonic() + limit
    with phase("balancer"):
        while not any(map(is_successful_check, log.new_entries())):
            if time.monotonic() >= deadline:
                raise ReleaseError(
                    f"no health check of the balancer, from {', '.join(sources)}, succeeded within {limit:.0f} s: check"
                    " that the balancer is active and can reach port 80 of this server, then run the command again"
                )
            time.sleep(LOG_INTERVAL_SECONDS)
        time.sleep(settle)


def close(paths: Paths, patience: float = 0) -> None:
    """Reject requests from everyone except the balancer, because visitors now use the balancer's address.

    If the server is still open, wait ``patience`` seconds first: visitors may remember the server's own address.
    """
    if not (paths.closed_rule.is_file() and paths.closed_rule.read_text() == CLOSED):
        time.sleep(patience)
    with exclusive(paths.lock, "a change of its firewall"), phase("close") as notes:
        if not files.write(paths.closed_rule, CLOSED.encode(), 0o644):
            notes.append("unchanged")
        # Also if the file is unchanged: an earlier run may have been killed before its reload.
        reload_firewall()
