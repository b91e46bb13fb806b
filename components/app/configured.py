"""The stack's settings that files of other platforms may have, too. Notes about these files leave them out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from components.settings.processes import SINGLETONS


@dataclass(frozen=True, kw_only=True)
class Configured:
    """The names of the variables, the numbers of servers and processes, singletons, and the path of health checks."""

    env: Collection[str] = ()
    servers: int = 1
    processes: Mapping[str, int] = field(default_factory=dict[str, int])
    singletons: Collection[str] = tuple(SINGLETONS)
    health_path: str = "/"
