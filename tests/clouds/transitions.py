"""Transitions of a stack at which a test kills the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.clouds.simulated_stack import LARGER_SIZES

Settings = dict[str, Any]


@dataclass(frozen=True)
class Transition:
    """From a stack with some settings (or no stack) to one with others (or none), and the operation to kill at."""

    before: Settings | None
    after: Settings | None
    operation: str


UP = ("up", "--yes", "--skip-preview")
DESTROY = ("destroy", "--yes", "--skip-preview")
TWO_SERVERS: Settings = {"servers": 2, "balancer": True}
TRANSITIONS = {
    "create two servers": Transition(None, TWO_SERVERS, "create"),
    "create a single server": Transition(None, {"servers": 1}, "create"),
    "replace servers": Transition(TWO_SERVERS, {**TWO_SERVERS, "size": LARGER_SIZES}, "create"),
    "update in place": Transition(
        {**TWO_SERVERS, "healthPath": "/"}, {**TWO_SERVERS, "healthPath": "/healthz"}, "update"
    ),
    "remove a server": Transition(TWO_SERVERS, {**TWO_SERVERS, "servers": 1}, "delete"),
    "destroy": Transition(TWO_SERVERS, None, "delete"),
}
