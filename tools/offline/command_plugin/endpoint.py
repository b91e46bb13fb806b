"""The settings of one SSH server: the target of a connection, or its bastion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .host_key import HostKey


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    host: str
    port: int
    user: str
    password: str | None
    # A key of paramiko.
    key: Any
    agent_socket: str | None
    host_key: HostKey | None
    # A negative number means no limit.
    dial_error_limit: int
    # In seconds; None means no limit.
    timeout: float | None

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
