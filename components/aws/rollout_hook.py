"""Runs a whole rollout on a server before the Elastic IP moves to it, over the server's own address."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components import hooks, ssh, unmounting, volumes
from components.errors import UserError
from components.providers import MarkerProvider
from components.rollout import steps
from components.rollout.login import with_login
from components.rollout.steps import RolloutArgs, Step, Upload
from components.server import commands
from components.target import Server
from host import times
from host.paths import Paths

# Enough for a new server to boot. It alternates between two host keys each minute, so the right one may come later.
CONNECT_SECONDS = 300
PAUSE_SECONDS = 2
# As much as the slowest release may need. A lost connection must not keep `up` waiting for ever.
COMMAND_SECONDS = 3600 + times.MAX_START_SECONDS
# Deletes an incomplete upload, so that it doesn't fill the disk.
UPLOAD = "cat > {path}.partial && mv {path}.partial {path} || {{ rm -f {path}.partial; false; }}"
# The rollout that follows begins with the host key of the user-data, as it does on every server.
RESTORE_FIRST_HOST_KEY = (
    f"if sudo cmp -s {Paths().host_keys}/own /etc/ssh/ssh_host_ed25519_key;"
    f" then sudo {Paths().scripts}/host-key swap; fi"
)


class RolloutHook(Resource, module="gantry", name="Handover"):
    """A before-create hook runs the whole rollout. If it fails, dependent resources aren't created.

    The resource isn't created again if the server loses the address in another way. After its rollout, the server shows
    only its own host key, so the hook couldn't log in.
    """

    # Known only after the rollout.
    instance_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        server: Server,
        args: RolloutArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        prepares: pulumi.Output[bool] | None = None,
    ) -> None:
        """With ``prepares`` it runs only the steps that need no volume, and only if ``prepares`` is true."""
        choose = steps.single_server if prepares is None else steps.before_volume
        self._steps = choose(args, configure=commands.CONFIGURE)
        texts = [(step.text, step.stdin) for step in self._steps if isinstance(step, steps.Command)]
        logins = pulumi.Output.all(with_login(server.connection, lambda login: login), args.logins.admin_key)
        inputs = [value for pair in texts for value in pair]
        is_needed = True if prepares is None else prepares
        values = pulumi.Output.all(server.instance_id, logins, is_needed, *inputs)
        instance_id = pulumi.Output.from_input(server.instance_id)
        if not pulumi.runtime.is_dry_run():
            # A preview runs no hook. In that of an older stack, the admin key isn't known yet, but the server stays.
            instance_id = values.apply(lambda parts: self._keep(*parts))
        self._role = "handover" if prepares is None else "preparation"
        hook = pulumi.ResourceHook(f"{name}-{self._role}", self._run)
        options = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[hook]))
        super().__init__(
            MarkerProvider(),
            f"{name}-{self._role}",
            {"instance_id": pulumi.Output.unsecret(instance_id)},
            pulumi.ResourceOptions.merge(opts, options),
        )

    def _keep(self, instance_id: str, logins: list[Any], is_needed: bool, *values: str | None) -> str:
        """Keep the values of the outputs for the hook."""
        self._login, self._admin_key = logins
        self._is_needed, rest = is_needed, iter(values)
        self._steps = [
            step if isinstance(step, Upload) else replace(step, text=str(next(rest)), stdin=next(rest))
            for step in self._steps
        ]
        return instance_id

    async def _run(self, _args: pulumi.ResourceHookArgs) -> None:
        if not self._is_needed:
            return
        await hooks.in_thread(roll_out, self._login, self._admin_key, self._steps)


def roll_out(login: ssh.Login, admin_key: str, server_steps: list[Step]) -> None:
    """Run READY with the first host key, then the steps with the server's own. Raises UserError.

    ``login`` is that of the user deploy. The user admin logs in with ``admin_key``.
    """
    host_key = _run_command(login, commands.READY).decode().strip()
    pinned = replace(login, host_key=host_key)
    admin = replace(pinned, user=ssh.ADMIN, private_key=admin_key)
    try:
        for step in server_steps:
            user = admin if step.as_admin else pinned
            if isinstance(step, Upload):
                _run_command(user, UPLOAD.format(path=step.path), step.file)
            else:
                _run_command(user, str(step.text), str(step.stdin or "").encode())
    except UserError:
        if any(step.role == steps.VOLUME for step in server_steps):
            _unmount(pinned)
        raise
    _run_command(admin, RESTORE_FIRST_HOST_KEY)


def _unmount(login: ssh.Login) -> None:
    """The next `up` may give the volume to another server, and the state doesn't have this login yet."""
    command = unmounting.UNMOUNT.format(seconds=volumes.STOP_SECONDS)
    with suppress(OSError, subprocess.TimeoutExpired):
        ssh.run(login, [command], timeout=volumes.STOP_SECONDS + unmounting.EXTRA_SECONDS)


def _run_command(login: ssh.Login, command: str, stdin: bytes | Path = b"") -> bytes:
    """The command's standard output. Without a connection it tries again. Raises UserError."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            result = ssh.run(login, [command], timeout=COMMAND_SECONDS, stdin=stdin)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{login.address}: {command} took more than {COMMAND_SECONDS} s, so the address stays where it"
                " is; check the server, then run the command again"
            ) from None
        if result.returncode == 0:
            return result.stdout
        if result.returncode != ssh.NO_CONNECTION or time.monotonic() > deadline:
            output = (result.stdout + result.stderr).decode(errors="replace").strip()
            raise UserError(f"{login.address}: {command} failed, so the address stays where it is\n{output}")
        time.sleep(PAUSE_SECONDS)
