"""An open connection that notices when its server is gone."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from . import ssh
from .operation import CommandError

# Seconds between two questions to the server. After three without an answer the connection counts as lost.
KEEPALIVE_VARIABLE = "PULUMI_COMMAND_KEEPALIVE"
_DEFAULT_KEEPALIVE = 15.0
_UNANSWERED = 3


class Link:
    """A connection and, below it, the one to its bastion. Closing it is safe at any time and twice."""

    def __init__(self, transport: Any, address: str, bastion: Link | None = None) -> None:
        self.transport = transport
        self.address = address
        self._bastion = bastion
        self._closed = threading.Event()
        self._interval = float(os.environ.get(KEEPALIVE_VARIABLE) or _DEFAULT_KEEPALIVE)
        self._answered = time.monotonic()
        for target in (self._ask, self._watch):
            threading.Thread(target=target, name="keepalive", daemon=True).start()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()
        self.transport.close()
        if self._bastion is not None:
            self._bastion.close()

    def lost_error(self) -> CommandError:
        return CommandError(f"the connection to {self.address} was lost")

    def _ask(self) -> None:
        # Without questions a dead server looks like a quiet one until TCP gives up, after some 15 minutes.
        while not self._closed.wait(self._interval) and self.transport.is_active():
            try:
                self.transport.global_request("keepalive@openssh.com", wait=True)
            except (ssh.paramiko().SSHException, OSError, EOFError):
                return
            self._answered = time.monotonic()

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._interval)):
            if time.monotonic() - self._answered > self._interval * (_UNANSWERED + 1):
                self.close()
