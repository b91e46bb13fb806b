"""A cloud's load balancer as a HAProxy process on this computer, with the settings of the cloud's balancer."""

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

# Slots for targets, configured in advance: adding or removing a target needs no restart.
SLOTS = 12
# A slot without a target leads to an address that is reserved for documentation.
UNUSED_ADDRESS = "192.0.2.1:80"
_CONNECT_SECONDS = 3


def configuration(balancer: Balancer, folder: Path, targets: dict[str, Target]) -> str:
    """HAProxy's configuration. ``targets`` has, by slot, those that the balancer begins with."""
    health = balancer.health_check
    check = (
        f"check port {health.port} inter {health.interval}s"
        f" rise {health.healthy_threshold} fall {health.unhealthy_threshold}"
    )
    lines = [
        "global",
        f"  stats socket {folder}/socket mode 600 level admin expose-fd listeners",
        "defaults",
        "  mode http",
        # A request that was sent once isn't sent to a second server: clouds don't do that either.
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
            f"  http-check send meth GET uri {health.path} ver HTTP/1.1 hdr Host {balancer.node_addresses[0]}",
            f"  http-check expect status {health.statuses}",
        ]
    for number in range(SLOTS):
        slot, node = f"t{number}", balancer.node_addresses[number % len(balancer.node_addresses)]
        target = targets.get(slot)
        address = f"{target.address}:{target.port}" if target else UNUSED_ADDRESS
        lines.append(f"  server {slot} {address} {check} source {node}{'' if target else ' disabled'}")
    return "\n".join(lines) + "\n"


def _frontend(balancer: Balancer, listener: Listener, folder: Path) -> list[str]:
    tls = f" ssl crt {folder}/{listener.port}.pem alpn h2,http/1.1" if listener.certificate else ""
    lines = [f"frontend port{listener.port}", f"  bind {balancer.public_address}:{listener.port}{tls}"]
    if listener.redirect_port:
        return [*lines, "  http-request redirect scheme https code 301"]
    return [*lines, "  default_backend targets"]


def kill_processes(folder: Path) -> None:
    """Kill every HAProxy whose configuration is below ``folder``, also after the death of the test that started it."""
    configuration_option = f"\0-f\0{folder}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if configuration_option in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


class BalancerProcess:
    """One running balancer.

    A new target gets no requests until its health checks succeed. A removed target drains.
    """

    def __init__(self, balancer: Balancer, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._targets: dict[str, Target] = {}
        self._draining_slots: set[str] = set()
        self._balancer = balancer
        self._write_configuration()
        command = ["haproxy", "-W", "-q", "-f", str(folder / "config"), "-p", str(folder / "pid")]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_until_ready()
        self._add_targets(balancer)

    def apply(self, balancer: Balancer) -> None:
        """Make the process match the balancer."""
        with self._lock:
            previous, self._balancer = self._balancer, balancer
            if _startup_settings(previous) != _startup_settings(balancer):
                self._write_configuration()
                self._process.send_signal(signal.SIGUSR2)
                time.sleep(0.5)
                self._wait_until_ready()
            self._drain_targets(balancer)
            self._add_targets(balancer)

    def target_health(self) -> dict[str, bool]:
        """Whether each target is healthy, by its id."""
        # https://docs.haproxy.org/2.6/management.html#9.3-show%20servers%20state: the sixth field is 2 for running.
        rows = [line.split() for line in self._send("show servers state targets").splitlines()[2:]]
        health_of_slots = {row[3]: row[5] == "2" for row in rows if len(row) > 5}
        return {target.id: health_of_slots.get(slot, False) for slot, target in self._active_targets().items()}

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write_configuration(self) -> None:
        for listener in self._balancer.listeners:
            if listener.certificate:
                (self._folder / f"{listener.port}.pem").write_text(listener.certificate)
        text = configuration(self._balancer, self._folder, self._active_targets())
        (self._folder / "config").write_text(text)

    def _active_targets(self) -> dict[str, Target]:
        """By slot, the targets that don't drain."""
        return {slot: target for slot, target in self._targets.items() if slot not in self._draining_slots}

    def _add_targets(self, balancer: Balancer) -> None:
        active = self._active_targets().values()
        for target in balancer.targets:
            if target in active:
                continue
            slot = next(f"t{number}" for number in range(SLOTS) if f"t{number}" not in self._targets)
            self._targets[slot] = target
            self._send(f"set server targets/{slot} addr {target.address} port {target.port}")
            self._send(f"set server targets/{slot} check-port {balancer.health_check.port}")
            # HAProxy counts a server as healthy from "state ready" to "health down". Without weight it gets no request.
            self._send(f"set server targets/{slot} weight 0")
            self._send(f"set server targets/{slot} state ready")
            self._send(f"set server targets/{slot} health down")
            self._send(f"set server targets/{slot} weight 1")

    def _drain_targets(self, balancer: Balancer) -> None:
        """Drain the targets that the balancer no longer has."""
        for slot, target in self._targets.items():
            if target not in balancer.targets and slot not in self._draining_slots:
                self._draining_slots.add(slot)
                self._send(f"set server targets/{slot} state drain")
                threading.Timer(balancer.drain_seconds, self._free_slot, [slot]).start()

    def _free_slot(self, slot: str) -> None:
        with self._lock:
            with contextlib.suppress(OSError):
                self._send(f"set server targets/{slot} state maint")
                self._send(f"shutdown sessions server targets/{slot}")
            self._targets.pop(slot, None)
            self._draining_slots.discard(slot)

    def _wait_until_ready(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self._send("show info"):
                    return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the balancer didn't start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def _send(self, command: str) -> str:
        """Send a command to HAProxy's socket; the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(os.fspath(self._folder / "socket"))
            connection.sendall(f"{command}\n".encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer.decode()


def _startup_settings(balancer: Balancer) -> tuple[object, ...]:
    """The settings that HAProxy reads only when it starts."""
    return balancer.listeners, balancer.health_check, balancer.node_addresses, balancer.idle_seconds
