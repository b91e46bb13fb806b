"""A server gets its release over its own address before visitors are led to it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components import ssh
from components.errors import UserError
from components.manifest import CONFIGURE_UNCONFIRMED, READY_COMMAND
from components.noted import Noted
from components.rollout import RolloutArgs
from components.target import Server

# For a machine that has just been made, and until it shows the key that is asked for: they take turns by the minute.
CONNECT_SECONDS = 300
PAUSE_SECONDS = 2
# As many as the slowest release may need; a connection that is gone must not keep `up` for ever.
COMMAND_SECONDS = 3600
# What arrives in part must not fill the disk.
UPLOAD = "cat > {path}.partial && mv {path}.partial {path} || {{ rm -f {path}.partial; false; }}"
# The commands that come afterwards begin with the key of the user-data, as they do on every machine.
FIRST_KEY_AGAIN = (
    "if sudo cmp -s /etc/gantry/host-keys/own /etc/ssh/ssh_host_ed25519_key;"
    " then sudo /usr/local/lib/gantry/host-key swap; fi"
)


@dataclass(frozen=True)
class Step:
    """A command on the server, and what goes to its standard input."""

    command: str
    stdin: bytes = b""


class Handover(Resource, module="gantry", name="Handover"):
    """Made by way of a hook that delivers all that a Rollout would; when that fails, nothing that waits is done.

    It stays when the address is lost by other means: a server that was delivered to shows its own key.
    """

    # Known only when the server has all.
    instance_id: pulumi.Output[str]

    def __init__(
        self, name: str, server: Server, delivery: RolloutArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self._delivery = delivery
        self._known: list[Any] = []
        connection = server.connection
        parts = (connection.host, connection.user, connection.host_key, connection.private_key)
        parts = (*parts, delivery.configuration, delivery.release_input)
        all_known = pulumi.Output.all(server.instance_id, *parts).apply(self._remember)
        hook = pulumi.ResourceHook(f"{name}-handover", self._run)
        hooked = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[hook]))
        inputs = {"instance_id": pulumi.Output.unsecret(all_known)}
        super().__init__(Noted(), f"{name}-handover", inputs, pulumi.ResourceOptions.merge(opts, hooked))

    def _remember(self, values: list[Any]) -> str:
        instance_id, *self._known = values
        return instance_id

    async def _run(self, _args: pulumi.ResourceHookArgs) -> None:
        # Pulumi's own work goes on meanwhile.
        await asyncio.to_thread(self._deliver)

    def _deliver(self) -> None:
        *login, configuration, release_input = self._known
        first = ssh.Login(*login)
        host_key = _insist(first, Step(READY_COMMAND)).decode().strip()
        own = ssh.Login(first.address, first.user, host_key, first.private_key)
        for step in steps(self._delivery, configuration, release_input):
            _insist(own, step)


def steps(delivery: RolloutArgs, configuration: str, release_input: str) -> list[Step]:
    """What a single server gets after the first contact, in order."""
    program = delivery.host_program_path
    upload = []
    if delivery.tarball:
        upload = [Step(UPLOAD.format(path=delivery.tarball_path), delivery.tarball.read_bytes())]
    return [
        Step(UPLOAD.format(path=program), delivery.host_program.read_bytes()),
        Step(CONFIGURE_UNCONFIRMED.format(host_program=program), configuration.encode()),
        *upload,
        Step(delivery.command(first=True), release_input.encode()),
        Step(FIRST_KEY_AGAIN),
    ]


def _insist(login: ssh.Login, step: Step) -> bytes:
    """What the command said; without a connection it is tried again. Raises UserError."""
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            done = ssh.run(login, [step.command], timeout=COMMAND_SECONDS, stdin=step.stdin)
        except subprocess.TimeoutExpired:
            raise UserError(f"{login.address}: {step.command} took more than {COMMAND_SECONDS} s") from None
        if done.returncode == 0:
            return done.stdout
        if done.returncode != ssh.NO_CONNECTION or time.monotonic() > until:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise UserError(f"{login.address}: {step.command} failed, so the address stays where it is\n{said}")
        time.sleep(PAUSE_SECONDS)
