"""A server as it is when its first release comes: booted with our user-data, configured, and reached over SSH."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from components import manifest
from components.local import launch, machine
from components.settings import Settings
from tests.machine.conftest import Local

CUT_OFF = b"""
table inet cut {
  chain out {
    type filter hook output priority 0; policy drop;
    oif lo accept
    ct state established,related accept
  }
}
"""


@dataclass
class Booted:
    """What Pulumi would send, sent by hand."""

    local: Local
    spec: machine.Spec
    configuration: manifest.Configuration
    settings: Settings

    @classmethod
    def boot(cls, local: Local, wanted: Settings) -> Self:
        """One that waits for its first release."""
        spec = boot(local)
        # sshd starts again during the first boot, with the host key of the user-data.
        launch.wait_until(lambda: local.reaches(spec, manifest.READY_COMMAND), f"the first boot of {spec.id}", 60)
        local.ssh(spec, manifest.READY_COMMAND)
        return cls(local, spec, configure(local, spec, wanted), wanted)

    @classmethod
    @contextmanager
    def while_it_lasts(cls, key: Path, wanted: Settings) -> Iterator[Self]:
        """The same, destroyed afterwards."""
        local = Local(key=key)
        try:
            yield cls.boot(local, wanted)
        finally:
            local.destroy()

    def configure(self) -> None:
        """Deliver the settings as they are now."""
        self.configuration = configure(self.local, self.spec, self.settings)

    def ssh(self, command: str, *, check: bool = True) -> str:
        return self.local.ssh(self.spec, command, check=check)

    def status(self) -> dict[str, Any]:
        return json.loads(self.ssh("sudo gantry status --json"))

    def reboot(self) -> None:
        """Restart it, and wait until it lets one in again."""
        boot = "systemctl show --value --property=UserspaceTimestampMonotonic"
        before = self.ssh(boot)
        self.ssh("sudo systemctl reboot", check=False)
        launch.wait_until(lambda: self.ssh(boot, check=False) not in ("", before), "the reboot", 60)

    @contextmanager
    def without_registries(self) -> Iterator[None]:
        """Nothing leaves the machine but answers to who came in."""
        self.local.send(self.spec, CUT_OFF, "sudo nft -f -")
        try:
            yield
        finally:
            self.ssh("sudo nft delete table inet cut")


def boot(local: Local) -> machine.Spec:
    """A machine with our user-data, on a network of its own."""
    first = host_key(local)
    public, private, host = (
        file.read_text() for file in (local.key.with_suffix(".pub"), first, first.with_suffix(".pub"))
    )
    data = manifest.user_data("web-0", public.strip(), private, host.strip()).encode()
    network = local.network()
    return machine.create(id=local.new_id(), owner=local.name, network=network.id, hostname="web-0", user_data=data)


def host_key(local: Local) -> Path:
    """The host key of the user-data."""
    first = local.key.parent / "first"
    if not first.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", first], check=True)
    return first


def configure(local: Local, spec: machine.Spec, wanted: Settings) -> manifest.Configuration:
    program = manifest.host_program()
    local.ssh(spec, "true")  # sshd starts again with each new host key
    local.send(spec, program.content, f"cat > {program.path}")
    configuration = manifest.configuration(wanted, program.path)
    local.send(spec, configuration.document().encode(), manifest.CONFIGURE_COMMAND.format(host_program=program.path))
    local.ssh(spec, "true")
    return configuration
