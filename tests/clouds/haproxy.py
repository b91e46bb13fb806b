"""A cloud's load balancer: HAProxy on this computer, which honours what the balancer was told."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from tests.clouds.infrastructure import Balancer, Listener, Target

# Places for targets, prepared beforehand so that their coming and going needs no restart.
PLACES = 12
_CONNECT_SECONDS = 3


def config(balancer: Balancer, folder: Path, taken: dict[str, Target]) -> str:
    """HAProxy's configuration; ``taken`` are the targets by place, as they are when it starts."""
    health = balancer.health
    check = f"check port {health.port} inter {health.interval}s rise {health.healthy} fall {health.unhealthy}"
    lines = [
        "global",
        f"  stats socket {folder}/socket mode 600 level admin expose-fd listeners",
        "defaults",
        "  mode http",
        # What a client has sent once is not sent to a second server: clouds don't either.
        "  retries 0",
        f"  timeout connect {_CONNECT_SECONDS}s",
        f"  timeout client {balancer.idle_seconds}s",
        f"  timeout server {balancer.idle_seconds}s",
        f"  timeout check {health.timeout}s",
        *(line for listener in balancer.listeners for line in _frontend(balancer, listener, folder)),
        "backend targets",
        "  balance roundrobin",
        "  option forwardfor",
        "  http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        "  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }",
        "  http-request set-header X-Forwarded-Port %[dst_port]",
    ]
    if health.path:
        lines += [
            "  option httpchk",
            f"  http-check send meth GET uri {health.path} ver HTTP/1.1 hdr Host {balancer.nodes[0]}",
            f"  http-check expect status {health.statuses}",
        ]
    for number in range(PLACES):
        place, node = f"t{number}", balancer.nodes[number % len(balancer.nodes)]
        target = taken.get(place)
        where = f"{target.address}:{target.port}" if target else "192.0.2.1:80"
        lines.append(f"  server {place} {where} {check} source {node}{'' if target else ' disabled'}")
    return "\n".join(lines) + "\n"


def _frontend(balancer: Balancer, listener: Listener, folder: Path) -> list[str]:
    tls = f" ssl crt {folder}/{listener.port}.pem alpn h2,http/1.1" if listener.certificate else ""
    lines = [f"frontend port{listener.port}", f"  bind {balancer.public}:{listener.port}{tls}"]
    if listener.redirect_port:
        return [*lines, "  http-request redirect scheme https code 301"]
    return [*lines, "  default_backend targets"]


def end_all(folder: Path) -> None:
    """End the proxies of a process that was killed; they are told by their command line."""
    configured = f"\0-f\0{folder}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if configured in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


class Proxy:
    """One balancer that runs. A new target is unwell until its health checks say otherwise; one that leaves drains."""

    def __init__(self, balancer: Balancer, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._places: dict[str, Target] = {}
        self._leaving: set[str] = set()
        self._balancer = balancer
        self._write()
        command = ["haproxy", "-W", "-q", "-f", str(folder / "config"), "-p", str(folder / "pid")]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()
        self._admit(balancer)

    def show(self, balancer: Balancer) -> None:
        """Bring it to this."""
        with self._lock:
            before, self._balancer = self._balancer, balancer
            if _shape(before) != _shape(balancer):
                self._write()
                self._process.send_signal(signal.SIGUSR2)
                time.sleep(0.5)
                self._wait()
            self._release(balancer)
            self._admit(balancer)

    def health(self) -> dict[str, bool]:
        """Which targets are well."""
        # https://docs.haproxy.org/2.6/management.html#9.3-show%20servers%20state: the sixth field is 2 for running.
        rows = [line.split() for line in self._say("show servers state targets").splitlines()[2:]]
        well = {row[3]: row[5] == "2" for row in rows if len(row) > 5}
        return {target.id: well.get(place, False) for place, target in self._staying().items()}

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self) -> None:
        for listener in self._balancer.listeners:
            if listener.certificate:
                (self._folder / f"{listener.port}.pem").write_text(listener.certificate)
        (self._folder / "config").write_text(config(self._balancer, self._folder, self._staying()))

    def _staying(self) -> dict[str, Target]:
        return {place: target for place, target in self._places.items() if place not in self._leaving}

    def _admit(self, balancer: Balancer) -> None:
        there = self._staying().values()
        for target in balancer.targets:
            if target in there:
                continue
            place = next(f"t{number}" for number in range(PLACES) if f"t{number}" not in self._places)
            self._places[place] = target
            self._say(f"set server targets/{place} addr {target.address} port {target.port}")
            self._say(f"set server targets/{place} check-port {balancer.health.port}")
            self._say(f"set server targets/{place} state ready")
            self._say(f"set server targets/{place} health down")

    def _release(self, balancer: Balancer) -> None:
        for place, target in self._places.items():
            if target not in balancer.targets and place not in self._leaving:
                self._leaving.add(place)
                self._say(f"set server targets/{place} state drain")
                threading.Timer(balancer.drain_seconds, self._forget, [place]).start()

    def _forget(self, place: str) -> None:
        with self._lock:
            with contextlib.suppress(OSError):
                self._say(f"set server targets/{place} state maint")
                self._say(f"shutdown sessions server targets/{place}")
            self._places.pop(place, None)
            self._leaving.discard(place)

    def _wait(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self._say("show info"):
                    return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the balancer didn't start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def _say(self, words: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(os.fspath(self._folder / "socket"))
            connection.sendall(f"{words}\n".encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer.decode()


def _shape(balancer: Balancer) -> tuple[object, ...]:
    """What HAProxy reads once, when it starts."""
    return balancer.listeners, balancer.health, balancer.nodes, balancer.idle_seconds
