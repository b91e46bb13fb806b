"""Visitors with different addresses: a script that runs on a server, and how tests start it there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from tests.machine.booted_server import BootedServer

# Linux accepts all of 127.0.0.0/8 as own addresses. Those of this network are added.
NETWORK_OF_ONE = [f"fd00:77:0:1::{number:x}" for number in range(1, 41)]
ADD_ADDRESSES = "".join(f"addr replace {address}/128 dev lo nodad\n" for address in NETWORK_OF_ONE)
SCRIPT = """
import http.client, json, sys, threading, time

visitors = json.loads(sys.argv[1])
failures, requests, answers = ([0] * len(visitors) for _ in range(3))

def visit(number, addresses, method, path, pause, agent, leaves):
    while True:
        address = addresses[requests[number] % len(addresses)]
        target = "::1" if ":" in address else "127.0.0.1"
        connection = http.client.HTTPConnection(target, 80, timeout=10, source_address=(address, 0))
        requests[number] += 1
        try:
            connection.request(method, path, headers={"User-Agent": agent})
            if not leaves:
                failures[number] += connection.getresponse().status >= 500
                answers[number] += 1
        except (OSError, http.client.HTTPException):
            failures[number] += 1
        connection.close()
        time.sleep(pause)

for number, visitor in enumerate(visitors):
    threading.Thread(target=visit, args=(number,), kwargs=visitor, daemon=True).start()
sys.stdin.read()
print(json.dumps({"requests": requests, "failures": failures, "answers": answers}))
"""


@dataclass(frozen=True)
class Visitor:
    """Sends a request from each of its addresses in turn, with ``pause`` seconds between two.

    One that ``leaves`` closes its connections before the answer.
    """

    addresses: list[str]
    path: str = "/"
    method: str = "GET"
    pause: float = 0.1
    agent: str = "visitor"
    leaves: bool = False


@dataclass
class Visits:
    """The numbers of requests, of failed ones and of answers, by visitor, after the end of the block."""

    requests: list[int] = field(default_factory=list[int])
    failures: list[int] = field(default_factory=list[int])
    answers: list[int] = field(default_factory=list[int])


def people(count: int, path: str = "/", method: str = "GET") -> list[Visitor]:
    """So many visitors, each with an address of its own."""
    return [Visitor([f"127.0.1.{number}"], path, method) for number in range(1, count + 1)]


@contextmanager
def visiting(server: BootedServer, visitors: list[Visitor]) -> Iterator[Visits]:
    """The visitors send requests to the server while the block runs."""
    server.send(SCRIPT.encode(), "cat > /tmp/visitors.py")
    server.send(ADD_ADDRESSES.encode(), "sudo ip -6 -batch -")
    arguments = json.dumps([asdict(visitor) for visitor in visitors])
    command = server.ssh_command(f"sudo python3 -I /tmp/visitors.py '{arguments}'")
    visits = Visits()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield visits
        finally:
            stdout = process.communicate(timeout=60)[0]
    result = json.loads(stdout)
    visits.requests, visits.failures, visits.answers = (result[name] for name in ("requests", "failures", "answers"))
    print(f"visitors: {result}")
