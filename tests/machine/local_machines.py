"""Creates networks and machines of the local target for a test, and runs commands on them over SSH."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from components.local import apt, bridge, launch, machine
from components.ssh import NO_CONNECTION

LOGGED_IN = "logged-in"
SSH_OPTIONS = ("BatchMode=yes", "LogLevel=ERROR", "UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no")


@dataclass
class LocalMachines:
    """``key`` is the private key file of the user `deploy` on each machine."""

    key: Path
    owner: str = field(default_factory=lambda: f"test-{secrets.token_hex(3)}")
    network_ids: list[str] = field(default_factory=list[str])
    ids: list[str] = field(default_factory=list[str])

    @classmethod
    @contextmanager
    def temporary(cls, key: Path) -> Iterator[Self]:
        """No machine yet; all that are created inside the block are destroyed after it."""
        machines = cls(key=key)
        try:
            yield machines
        finally:
            machines.destroy()

    def create_network(self, cidr: str | None = None) -> bridge.Network:
        network = bridge.create(owner=self.owner, cidr=cidr)
        self.network_ids.append(network.id)
        return network

    def new_id(self) -> str:
        id = f"{self.owner}-{len(self.ids)}"
        self.ids.append(id)
        return id

    def create(self, network: str | None = None, id: str | None = None, user_data: str | None = None) -> machine.Spec:
        """A machine on the network with this id, or on a new one. The default user-data only lets `deploy` in."""
        return machine.create(
            id=id or self.new_id(),
            owner=self.owner,
            network=network or self.create_network().id,
            hostname="web-0",
            user_data=(user_data or self.user_data()).encode(),
        )

    def user_data(self, more: str = "") -> str:
        """Cloud-init's configuration that creates the user `deploy`, followed by ``more`` of it."""
        user = {
            "name": "deploy",
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": [self.key.with_suffix(".pub").read_text().strip()],
        }
        return f"#cloud-config\nusers: {json.dumps([user])}\n{more}"

    def ssh(self, spec: machine.Spec, command: str, *, check: bool = True) -> str:
        """Run the command as soon as the machine accepts a login, and return its output, stripped."""
        results: list[subprocess.CompletedProcess[str]] = []

        def runs() -> bool:
            # The first line tells a machine that accepts no login from one that ends during the command.
            results.append(self._ssh(spec, f"echo {LOGGED_IN}\n{command}"))
            return results[-1].stdout.startswith(LOGGED_IN)

        launch.wait_until(runs, f"{spec.id} to accept a login", 60)
        result = results[-1]
        assert not check or result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout.removeprefix(LOGGED_IN).strip()

    def connects(self, spec: machine.Spec, command: str) -> bool:
        """Whether the command could be run, whatever its exit status."""
        return self._ssh(spec, command).returncode != NO_CONNECTION

    def send(self, spec: machine.Spec, stdin: bytes, command: str) -> str:
        """Run the command with this standard input and return its output."""
        result = subprocess.run([*self.ssh_command(spec), command], input=stdin, capture_output=True, timeout=200)
        assert result.returncode == 0, f"{command}: {result.stderr.decode()}"
        return result.stdout.decode()

    def _ssh(self, spec: machine.Spec, command: str) -> subprocess.CompletedProcess[str]:
        words = [*self.ssh_command(spec), command]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)

    def resolves_mirror(self, spec: machine.Spec) -> bool:
        """Whether the machine can resolve the name of the Debian mirror that this computer uses."""
        mirror = urlsplit(apt.computer_mirror().archive).hostname
        return self.ssh(spec, f"getent hosts {mirror} > /dev/null && echo resolved") == "resolved"

    def ssh_command(self, spec: machine.Spec) -> list[str]:
        options = [word for option in (*SSH_OPTIONS, "ConnectTimeout=3") for word in ("-o", option)]
        return ["ssh", *options, "-i", str(self.key), f"deploy@{spec.address}"]

    def destroy(self) -> None:
        for id in self.ids:
            machine.destroy(id)
        for id in self.network_ids:
            machine.destroy_network(id)


def create_ssh_key(file: Path) -> Path:
    """Create an Ed25519 key pair: ``file`` and ``file``.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file
