"""Asks for the site after a successful `up`, as a visitor does. If it doesn't answer, the servers look for the cause.

No SSH connection is opened if the answer is fine.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from components import ssh
from tools.login import login_to
from tools.setup import backend

CHECK = ["sudo", "gantry", "check", "--repair", "--json"]
# An answer that doesn't come in this time counts as none.
ANSWER_SECONDS = 5.0
# A moment without an answer, such as that of a restarted daemon, is no fault.
FIRST_SECONDS = 2.0
# After a repair, and for a name that was just registered, it may take longer until the site answers.
REPAIRED_SECONDS = 10.0
SSH_SECONDS = 60.0
PAUSE_SECONDS = 0.25
HEALTHY = range(200, 400)
NOTHING = "nothing broken: the site answers again"


@dataclass(frozen=True)
class Fault:
    """What is wrong with the site's answer. ``unknown`` means that its name isn't known to DNS."""

    text: str
    unknown: bool = False


@dataclass(frozen=True)
class Site:
    """The site as the stack's outputs describe it. ``path`` is asked with ``host`` as Host.

    ``status`` is that of a healthy app; None means any 2xx or 3xx. During ``maintenance``, 503 is right, too.
    """

    url: str
    path: str
    host: str
    status: int | None = None
    maintenance: bool = False
    # Certificates (PEM) that are trusted besides those of this computer.
    roots: str = ""

    def context(self) -> ssl.SSLContext:
        """Checks the site's certificate."""
        context = ssl.create_default_context()
        if self.roots:
            context.load_verify_locations(cadata=self.roots)
        return context

    def fault(self) -> Fault | None:
        """Asks once. Returns what is wrong with the answer, or None."""
        try:
            status = self._answer()
        except socket.gaierror:
            return Fault(f"{urlsplit(self.url).hostname} isn't known to DNS", unknown=True)
        except TimeoutError:
            return Fault(f"no answer within {ANSWER_SECONDS:g} s")
        except ConnectionRefusedError:
            return Fault("the connection was refused")
        except (OSError, http.client.HTTPException) as error:
            return Fault(str(error) or type(error).__name__)
        expected = status == self.status if self.status else status in HEALTHY
        return None if expected or (self.maintenance and status == 503) else Fault(f"it answered {status}")

    def _answer(self) -> int:
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        address, port = parts.hostname or "", parts.port or (443 if secure else 80)
        connection = (
            http.client.HTTPSConnection(address, port, timeout=ANSWER_SECONDS, context=self.context())
            if secure
            else http.client.HTTPConnection(address, port, timeout=ANSWER_SECONDS)
        )
        try:
            connection.request("GET", self.path, headers={"Host": self.host, "User-Agent": "Gantry make up"})
            return connection.getresponse().status
        finally:
            connection.close()

    def __str__(self) -> str:
        return f"{self.url.rstrip('/')}{self.path}"


@dataclass(frozen=True)
class Machine:
    """A server or a balancer of the stack."""

    name: str
    address: str
    host_key: str
    # Machines of earlier versions have only this one.
    user: str = ssh.DEPLOY


@dataclass(frozen=True)
class Verdict:
    """The result of `gantry check` on one machine. ``broken`` is empty if every layer works, perhaps after a repair."""

    repaired: Sequence[str]
    broken: Sequence[str]


# Runs `gantry check --repair --json` on a machine.
Look = Callable[[Machine], Verdict]


def site_of(outputs: Mapping[str, Any]) -> Site | None:
    """The site of a stack's outputs; None if there is nothing to ask."""
    url, health = str(outputs.get("url") or ""), outputs.get("health")
    if not url or not health:
        return None
    return Site(
        url=url,
        path=health["path"],
        host=health.get("host") or urlsplit(url).netloc,
        status=health.get("status"),
        maintenance=bool(health.get("maintenance")),
        roots=health.get("roots") or "",
    )


def machines_of(outputs: Mapping[str, Any]) -> list[Machine]:
    """The stack's machines, a balancer first."""
    entries = [outputs.get("balancer"), *outputs.get("servers", [])]
    return [
        Machine(entry["name"], entry["address"], entry["host_key"], entry.get("user", ssh.DEPLOY))
        for entry in entries
        if entry
    ]


def check(site: Site, stack: str, machines: Callable[[], Sequence[Machine]], look: Look) -> tuple[bool, list[str]]:
    """Asks the site, and lets its machines repair what is broken. Returns whether it answers, and lines for people.

    ``machines`` and ``look`` are called only if it doesn't answer. A name that isn't known to DNS yet is no failure.
    """
    if _wait(site, FIRST_SECONDS) is None:
        return True, []
    found = list(machines())
    with ThreadPoolExecutor(max_workers=max(1, len(found))) as pool:
        verdicts = dict(zip(found, pool.map(look, found), strict=True))
    repaired = [f"{machine.name}: repaired: {text}" for machine in found for text in verdicts[machine].repaired]
    broken = [f"{machine.name}: {text}" for machine in found for text in verdicts[machine].broken]
    fault = _wait(site, REPAIRED_SECONDS)
    if fault is None:
        return True, [
            f"GET {site} had no right answer. The servers found:",
            *_indented(repaired or broken or [NOTHING]),
        ]
    if fault.unknown and not broken:
        return True, [f"note: {fault.text} yet. The servers answer their own requests.", *_indented(repaired)]
    lines = [f"make up failed: the site doesn't answer: GET {site}: {fault.text}"]
    lines += _indented([*repaired, *(broken or [_outside(found)])])
    first = found[0].name if found else f"{stack}-0"
    lines += ["To look at the server:", f"  bin/ssh --stack {stack} {first} sudo gantry check"]
    return False, [*lines, "To go on, correct the cause and run:", f"  {backend.make('up', stack)}"]


def _wait(site: Site, seconds: float) -> Fault | None:
    """Asks until the site answers, for some seconds. Returns the last fault, or None."""
    deadline = time.monotonic() + seconds
    while (fault := site.fault()) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return fault


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _outside(machines: Sequence[Machine]) -> str:
    """The sentence for a site whose servers have found nothing broken."""
    names = " and ".join(machine.name for machine in machines)
    return (
        f"no layer of {names} is broken, so the cause is on the way there: DNS, a certificate, a balancer of the cloud,"
        " or a firewall that drops packets. On a server, this removes rules that aren't Gantry's:"
        " sudo systemctl reload nftables"
    )


def over_ssh(outputs: Mapping[str, Any]) -> Look:
    """Looks over SSH, as a person; ``outputs`` are the stack's, with their secrets."""

    def look(machine: Machine) -> Verdict:
        login = login_to(vars(machine), outputs)
        try:
            result = ssh.run(login, CHECK, timeout=SSH_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return Verdict([], [f"no answer over SSH: {error}"])
        return verdict(result.returncode, result.stdout.decode(), result.stderr.decode())

    return look


def verdict(status: int, stdout: str, stderr: str) -> Verdict:
    """The result of `gantry check --repair --json`. An exit status of ssh itself means that there was no login."""
    last = next(reversed(stderr.strip().splitlines()), f"exit status {status}")
    if status == ssh.NO_CONNECTION:
        return Verdict(
            [], [f"no SSH connection ({last}): the machine is down, or a firewall drops packets. See its console"]
        )
    try:
        findings: list[dict[str, str]] = json.loads(stdout)
    except ValueError:
        return Verdict([], [f"`gantry check` failed: {last}"])
    repaired = [_text(finding) for finding in findings if finding["state"] == "repaired"]
    broken = [_text(finding) for finding in findings if finding["state"] == "broken"]
    # Rules of others in the firewall may be the cause, although nothing of Gantry's is broken.
    suspects = [_text(finding) for finding in findings if finding["state"] == "ok" and finding["layer"] == "firewall"]
    return Verdict(repaired, [*broken, *filter(None, suspects)])


def _text(finding: Mapping[str, str]) -> str:
    """Layer, problem and remedy; empty if there is no problem."""
    remedy = f"\n    remedy: {finding['remedy']}" if finding["state"] == "broken" and finding["remedy"] else ""
    return f"{finding['layer']}: {finding['text']}{remedy}" if finding["text"] else ""
