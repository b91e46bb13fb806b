"""Finds the files that are lost with deleted servers, and words the message about them. Needs no Pulumi."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from components import app_data
from components.app_data import Contents, StateServer, UnreadableError
from host.paths import Paths

# With this variable a preview fails as `up` would. So `make up` stops at its preview, before anything is changed.
STOP_IN_PREVIEW = "GANTRY_STOP_IN_PREVIEW"
_APP_HOME = Paths().app_home
# The stack whose name may be left out of a command.
_DEV = "dev"
_PARALLEL = 16


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A server whose files are deleted with it, or one that can't be asked, for this ``reason``."""

    server: StateServer
    contents: Contents | None
    reason: str = ""

    def __str__(self) -> str:
        if self.contents:
            return f"its {_APP_HOME} has {self.contents}, deleted with the server"
        return f"{self.reason}, so its {_APP_HOME} counts as one with files"


class Survey:
    """Asks each server once, several at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(max_workers=_PARALLEL)
        self._answers: dict[str, Future[Loss | None]] = {}

    def losses(self, servers: Sequence[StateServer]) -> list[Loss]:
        """The losses if these servers are deleted. Takes a minute and a half at most."""
        with self._lock:
            for server in servers:
                if _key(server) not in self._answers:
                    self._answers[_key(server)] = self._pool.submit(_loss, server)
        answers = [self._answers[_key(server)].result() for server in servers]
        return [loss for loss in answers if loss]


def _key(server: StateServer) -> str:
    # A server that waits for its deletion has the URN of the one that has replaced it.
    return f"{server.urn} {server.id}"


def _loss(server: StateServer) -> Loss | None:
    """The loss if the server is deleted, or None if nothing is lost."""
    try:
        contents = app_data.read(server)
    except UnreadableError as error:
        return Loss(server=server, contents=None, reason=str(error))
    return Loss(server=server, contents=contents) if contents.files and not contents.on_volume else None


def refusal(losses: Sequence[Loss], *, event: str, stack: str, lost: Iterable[str], can_have_volume: bool) -> str:
    """Why the servers aren't deleted, and the ways on. ``event`` says what would happen to each, such as "is replaced".

    ``lost`` are the ids that the setting loseData has already. With ``can_have_volume``, a volume is the first way.
    """
    option = _option(stack)
    lines = [f"{loss.server.name} {event}: {loss}" for loss in losses]
    lines.append("Nothing has been deleted. The ways on:")
    if can_have_volume:
        lines += [
            "  - Keep the data on a volume, which outlives its server. Undo the change, and run `up` with this setting."
            " Then make the change again:",
            f"      pulumi config set{option} storage 20",
        ]
    lines.append(f"  - Copy the data, and then do as below. The new server gets it with bin/data{option} push:")
    lines += [f"      bin/data{option} pull {loss.server.name}" for loss in losses]
    ids = dict.fromkeys([*lost, *(loss.server.id for loss in losses)])
    lines += [
        "  - Lose the data, and run `up` again. An id counts once: a new server has another one:",
        f"      pulumi config set{option} loseData {','.join(ids)}",
    ]
    if any(loss.contents is None for loss in losses):
        lines += [
            "  - If the server no longer exists, let Pulumi find that out:",
            f"      bin/pulumi refresh{option}",
        ]
    return "\n".join(lines)


def split(losses: Iterable[Loss], accepted: Collection[str]) -> tuple[list[Loss], list[Loss]]:
    """The losses that the setting loseData accepts by the server's id, and the others."""
    losses = list(losses)
    return (
        [loss for loss in losses if loss.server.id in accepted],
        [loss for loss in losses if loss.server.id not in accepted],
    )


def farewell(servers: Sequence[StateServer], losses: Sequence[Loss]) -> list[str]:
    """One line for each server that `destroy` deletes."""
    by_server = {_key(loss.server): loss for loss in losses}
    lines: list[str] = []
    for server in servers:
        if loss := by_server.get(_key(server)):
            lines.append(f"{server.name} ({server.id}): {loss}")
        else:
            place = "the data is on a volume" if server.has_volume else f"its {_APP_HOME} has no files"
            lines.append(f"{server.name} ({server.id}): {place}")
    return lines


def _option(stack: str) -> str:
    return "" if stack == _DEV else f" --stack {stack}"
