"""A server that waits for its first release: booted with the real user-data, configured, and reached over SSH.

These tests don't use the engine. They send over SSH the commands that Pulumi would send.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from components.app import artifact
from components.local import launch, machine
from components.server import commands, host_program
from components.server.configuration import Configuration
from components.server.configuration import configuration as server_configuration
from components.server.program_files import program_files
from components.server.user_data import Identity, user_data
from components.settings.common import Settings
from tests.machine.local_machines import LocalMachines, create_ssh_key

# The machine answers connections from outside, but can't open one itself.
BLOCK_OUTGOING = b"""
table inet cut {
  chain out {
    type filter hook output priority 0; policy drop;
    oif lo accept
    ct state established,related accept
  }
}
"""
UNBLOCK_OUTGOING = "nft delete table inet cut"


@dataclass
class BootedServer:
    """Subclasses choose the settings and the app, and release it."""

    machines: LocalMachines
    spec: machine.Spec
    settings: Settings
    configuration: Configuration

    @classmethod
    def first_settings(cls, folder: Path) -> Settings:
        """The settings to configure the server with. If they name an app, it is written into the empty ``folder``."""
        raise NotImplementedError

    @classmethod
    def boot(cls, machines: LocalMachines, folder: Path) -> Self:
        # A test must not meet an update because it runs at this hour.
        settings = replace(cls.first_settings(folder), update_window=None)
        spec = machines.create(user_data=_user_data(machines.key))
        # sshd restarts during the first boot, with the host key from the user-data. So READY is repeated until
        # it gets a connection, whatever its exit status. The second READY must succeed.
        launch.wait_until(lambda: machines.connects(spec, commands.READY), f"the first boot of {spec.id}", 60)
        machines.ssh(spec, commands.READY)
        configuration = _configure(machines, spec, settings)
        return cls(machines=machines, spec=spec, settings=settings, configuration=configuration)

    @classmethod
    @contextmanager
    def temporary(cls, key: Path, folder: Path) -> Iterator[Self]:
        """A server that is destroyed after the block."""
        with LocalMachines.temporary(key) as machines:
            yield cls.boot(machines, folder)

    def change_settings(self, **changes: Any) -> None:
        """Change settings that the next release takes; ``configure`` delivers those that the server itself reads."""
        self.settings = replace(self.settings, **changes)

    def configure(self) -> None:
        """Deliver the current settings to the server."""
        self.configuration = _configure(self.machines, self.spec, self.settings)

    def upload(self, tarball: bytes) -> str:
        """Upload a packed app; returns its release."""
        release = release_of(tarball)
        self.send(tarball, f"cat > /opt/gantry/incoming/{release}.tar")
        return release

    def release_command(self, release: str, **changes: Any) -> str:
        """The command that the rollout would run, with some other settings."""
        return commands.release(release, self.configuration, replace(self.settings, **changes))

    def ssh(self, command: str, *, check: bool = True) -> str:
        return self.machines.ssh(self.spec, command, check=check)

    def ssh_command(self, command: str) -> list[str]:
        """The command line that runs a command on the server."""
        return [*self.machines.ssh_command(self.spec), command]

    def send(self, stdin: bytes, command: str) -> str:
        """Run a command with this standard input; returns its output."""
        return self.machines.send(self.spec, stdin, command)

    def script(self, text: str) -> str:
        """Run a script as root, which reads it from standard input because sudo logs command lines."""
        return self.send(text.encode(), "sudo sh")

    @property
    def url(self) -> str:
        return f"http://{self.spec.address}/"

    def status(self) -> dict[str, Any]:
        return json.loads(self.ssh("sudo gantry status --json"))

    def deployment(self) -> str:
        """The deployment that serves."""
        return Path(self.ssh("readlink /var/lib/gantry/current")).name

    def reboot(self) -> None:
        """Restart the server and wait until it accepts a login again."""
        boot_time = "systemctl show --value --property=UserspaceTimestampMonotonic"
        before = self.ssh(boot_time)
        self.ssh("sudo systemctl reboot", check=False)
        self.wait_until(lambda: self.ssh(boot_time, check=False) not in ("", before), "the reboot", 60)

    def wait_until(self, condition: Callable[[], bool], event: str, seconds: float = 30) -> None:
        """Fail if the condition isn't true within some seconds; ``event`` is for the message."""
        launch.wait_until(condition, event, seconds)

    @contextmanager
    def outgoing_blocked(self) -> Iterator[None]:
        """The server can't reach a package registry while the block runs."""
        self.send(BLOCK_OUTGOING, "sudo nft -f -")
        try:
            yield
        finally:
            self.ssh(f"sudo {UNBLOCK_OUTGOING}")


def release_of(tarball: bytes) -> str:
    """The release that a packed app becomes."""
    return hashlib.sha256(tarball).hexdigest()[: artifact.DIGEST_DIGITS]


def _user_data(key: Path) -> str:
    first_host_key = key.parent / "first"
    if not first_host_key.exists():
        create_ssh_key(first_host_key)
    identity = Identity(
        hostname="web-0",
        public_key=key.with_suffix(".pub").read_text().strip(),
        host_private_key=first_host_key.read_text(),
        host_public_key=first_host_key.with_suffix(".pub").read_text().strip(),
    )
    return user_data(identity)


def _configure(machines: LocalMachines, spec: machine.Spec, settings: Settings) -> Configuration:
    program = host_program.pack(machines.key.parent)
    machines.ssh(spec, "true")  # sshd restarts with each new host key: wait for it
    # The login for people, which uploads it on the servers of a stack, isn't there.
    machines.send(spec, program.file.read_bytes(), f"sudo install -D -m 0644 /dev/stdin {program.path}")
    configuration = server_configuration(settings, program.copy)
    command = commands.CONFIGURE_AND_CONFIRM.format(host_program=program.path)
    machines.send(spec, configuration.document(program_files()).encode(), command)
    machines.ssh(spec, "true")
    return configuration
