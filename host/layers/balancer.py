"""The local target's balancer: whether the servers behind it answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from host import health
from host.health_check import HealthCheck
from host.layers.finding import Finding
from host.paths import Paths

LAYER = "servers"
_TARGET = re.compile(r"ip daddr (\S+) dnat to (\S+)")
# The answer of a server's Nginx that finds no app.
NO_APP = 502


def is_balancer(paths: Paths) -> bool:
    """Whether this machine distributes requests: a server has a folder for releases since its first boot."""
    return not paths.releases.exists()


def findings(paths: Paths, seconds: float) -> Iterator[Finding]:
    """Ask each server for its front page, all at once, within ``seconds``."""
    # Nginx's addresses, and the server to which the firewall leads them.
    places: dict[str, str] = {match[2]: match[1] for match in _TARGET.finditer(paths.firewall.read_text())}
    check = HealthCheck(path="/", host="localhost", timeout=seconds)
    with ThreadPoolExecutor(max_workers=max(1, len(places))) as pool:
        requests = {server: pool.submit(health.answer_of, place, check) for server, place in places.items()}
    answers = {server: request.result() for server, request in requests.items()}
    failing = {server: answer for server, answer in answers.items() if answer.status in (None, NO_APP)}
    if not failing:
        yield Finding(layer=LAYER)
    for server, answer in failing.items():
        yield Finding(
            layer=LAYER,
            problem=f"{server} answered {answer}",
            remedy="log in on that server: sudo gantry check",
        )
