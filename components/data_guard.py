"""Stops `up` before it deletes a server with files of the app that would be lost.

Pulumi creates the server that replaces another one first. So a hook before each creation asks the old server, which
still has the traffic. Servers that are no longer in the settings are asked before anything is declared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

import pulumi

from components import app_data, data_loss, hooks, naming
from components.app_data import Resource, StateServer
from components.data_loss import STOP_IN_PREVIEW
from components.errors import UserError

# The end of the hooks' names.
HOOK = "app-data"


class DataGuard:
    """Knows the servers of the stack's state, as it was before this run.

    ``state`` has its resources. ``names`` are the servers of the settings, on ``target``. ``lose_data`` are ids of
    servers whose data may be lost.
    """

    def __init__(
        self,
        stack: str,
        *,
        state: Sequence[Resource],
        target: str,
        names: Collection[str],
        lose_data: Sequence[str],
        can_have_volume: bool,
    ) -> None:
        self._stack, self._lose_data, self._can_have_volume = stack, lose_data, can_have_volume
        self._servers = app_data.servers_in(state)
        self._survey = data_loss.Survey()
        self._announced: set[str] = set()
        self._check_ids()
        # Each target chooses how its resources are named.
        labels = {*names, *map(naming.label, names)}
        kept = [server for server in self._servers if server.target == target and _label(server) in labels]
        self._require_no_loss([server for server in self._servers if server not in kept], "is removed")

    def before_creation(self, name: str) -> pulumi.ResourceHookBinding:
        """For the resource of the server ``name``."""
        return self._binding(name, lambda urn: [server for server in self._servers if server.urn == urn])

    def before_creation_of_all(self, name: str) -> pulumi.ResourceHookBinding:
        """For the resource ``name``, whose replacement replaces all servers."""
        return self._binding(name, lambda _urn: self._servers)

    def _binding(self, name: str, choose: Callable[[str], Sequence[StateServer]]) -> pulumi.ResourceHookBinding:
        async def run(args: pulumi.ResourceHookArgs) -> None:
            await hooks.in_thread(self._require_no_loss, choose(args.urn), "is replaced")

        options = pulumi.ResourceHookOptions(on_dry_run=True)
        return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook(f"{name}-{HOOK}", run, options)])

    def _require_no_loss(self, servers: Sequence[StateServer], event: str) -> None:
        """Raises UserError if files would be lost. A preview only warns."""
        accepted, refused = data_loss.split(self._survey.losses(servers), self._lose_data)
        for loss in accepted:
            self._warn(f"{loss.server.name} {event}: {loss}, as loseData allows")
        if not refused:
            return
        ids = [id for id in self._lose_data if any(server.id == id for server in self._servers)]
        text = data_loss.refusal(
            refused, event=event, stack=self._stack, lost=ids, can_have_volume=self._can_have_volume
        )
        if pulumi.runtime.is_dry_run() and not os.environ.get(STOP_IN_PREVIEW):
            self._warn(f"`up` will stop:\n{text}")
        else:
            raise UserError(text)

    def _warn(self, text: str) -> None:
        # The replacement of a network says it about each server, and then each server does.
        if text not in self._announced:
            self._announced.add(text)
            pulumi.log.warn(text)

    def _check_ids(self) -> None:
        """Raises UserError for a server's name in the setting loseData. Warns of an id that no server has any more."""
        by_name = {server.name: server.id for server in self._servers}
        ids = set(by_name.values())
        for id in self._lose_data:
            if id in by_name and id not in ids:
                raise UserError(
                    f"loseData is {id!r}, but must be the id of that server, so that it counts only once; set it with:"
                    f" pulumi config set loseData {by_name[id]}"
                )
            if id not in ids:
                pulumi.log.warn(
                    f"loseData has {id!r}, which isn't the id of a server any more, so it has no effect; remove it"
                    " with: pulumi config rm loseData"
                )


def _label(server: StateServer) -> str:
    return server.urn.rpartition("::")[2]
