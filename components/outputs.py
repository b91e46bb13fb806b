"""The stack's outputs. All but the release are kept even if the rollout fails, so that `bin/ssh` reaches the servers.

Pulumi registers a stack's outputs when the whole program has succeeded. The engine accepts them earlier and more than
once: the last registration counts. After a failure it keeps the earlier value of each output that is missing there.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import rpc, settings
from pulumi.runtime.proto import resource_pb2

from components.fleet import Fleet

SSH = Path(__file__).resolve().parents[1] / "bin/ssh"
# Outputs are registered early only if the rollout takes longer than this. It is also the time in which the engine finds
# that the existing servers of a stack are unchanged. Until then, their own host keys aren't known.
PAUSE_SECONDS = 2.0


def export(stack: str, fleet: Fleet) -> None:
    """Exports what a user needs to visit the site and to log in."""
    # Pulumi runs a program in its own folder.
    ssh = f"{os.path.relpath(SSH)} --stack {stack} {fleet.servers[0]['name']}"
    outputs: dict[str, Any] = {
        "url": fleet.url,
        "health": fleet.health,
        "servers": fleet.servers,
        "ssh": ssh,
        "logs": f"{ssh} sudo journalctl --follow --unit 'gantry-*@*'",
        "ssh_key": fleet.admin_key,
        "deploy_key": fleet.deploy_key,
    }
    if fleet.balancer:
        outputs["balancer"] = fleet.balancer
    for name, value in outputs.items():
        pulumi.export(name, value)
    release = fleet.release
    if not pulumi.runtime.is_dry_run():
        release = release.apply(_EarlyOutputs(outputs, fleet).finish)
    # The other outputs of this program are registered after this one is known.
    pulumi.export("release", release)


class _EarlyOutputs:
    """Registers each output soon after it is known, until the release is."""

    def __init__(self, outputs: dict[str, Any], fleet: Fleet) -> None:
        self._loop = asyncio.get_event_loop()
        # One registration at a time, so that the last one has all outputs.
        self._lock = asyncio.Lock()
        self._changed = self._finished = False
        self._known: dict[str, Any] = {}
        # By the server's name; the own host key replaces the first one, and then the user for people is added.
        self._servers: dict[str, Any] = {}
        pulumi.Output.from_input(fleet.new_servers).apply(self._add_new_servers)
        for server in [*fleet.reached_servers, *fleet.servers]:
            pulumi.Output.from_input(server).apply(self._add_server)
        for name, value in outputs.items():
            # The output itself is kept, because it knows whether it is secret.
            pulumi.Output.from_input(value).apply(lambda _, name=name, value=value: self._add(name, value))

    async def finish(self, release: str) -> str:
        """Registers nothing any more. Returns the release when an earlier registration has ended."""
        async with self._lock:
            self._finished = True
        return release

    def _add(self, name: str, value: Any) -> None:
        self._known[name] = value
        self._register_soon()

    def _add_server(self, server: dict[str, Any]) -> None:
        if "user" not in self._servers.get(server["name"], {}):
            self._servers[server["name"]] = server
        self._register_soon()

    def _add_new_servers(self, servers: list[dict[str, Any]]) -> None:
        def show() -> None:
            new = {server["name"]: server for server in servers}
            self._servers = {**new, **self._servers}
            self._known.setdefault("servers", None)
            self._register_soon(0)

        # By then, the own host keys of unchanged servers are known. The outputs must not lose them.
        self._loop.call_later(PAUSE_SECONDS, show)

    def _register_soon(self, seconds: float = PAUSE_SECONDS) -> None:
        self._changed = True
        self._loop.call_later(seconds, lambda: asyncio.ensure_future(self._register()))

    async def _register(self) -> None:
        async with self._lock:
            if self._finished or not self._changed:
                return
            self._changed = False
            known = dict(self._known)
            if "servers" in known:
                known["servers"] = known["servers"] or list(self._servers.values())
            root = settings.get_root_resource()
            assert root
            urn, values = await root.urn.future() or "", await rpc.serialize_properties(known, {})
            request = resource_pb2.RegisterResourceOutputsRequest(urn=urn, outputs=values)
            monitor: Any = settings.get_monitor()
            await self._loop.run_in_executor(None, monitor.RegisterResourceOutputs, request)
