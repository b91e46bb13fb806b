"""An open SSH connection. It notices when its server stops answering."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from . import ssh
from .operation import CommandError

# Seconds between two keepalive requests. After three without a reply the connection counts as lost.
KEEPALIVE_VARIABLE = "PULUMI_COMMAND_KEEPALIVE"
_DEFAULT_KEEPALIVE = 15.0
_MISSING_REPLIES = 3


class Link:
    """A connection, with the one to its bastion if there is one. It can be closed at any time, and more than once."""

    def __init__(self, transport: Any, address: str, bastion: Link | None = None) -> None:
        self.transport = transport
        self.address = address
        self._bastion = bastion
        self._closed = threading.Event()
        self._interval = float(os.environ.get(KEEPALIVE_VARIABLE) or _DEFAULT_KEEPALIVE)
        self._last_reply = time.monotonic()
        for target in (self._send_keepalives, self._watch):
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

    def _send_keepalives(self) -> None:
        # TCP alone takes about 15 minutes to notice that a server is dead.
        while not self._closed.wait(self._interval) and self.transport.is_active():
            try:
                self.transport.global_request("keepalive@openssh.com", wait=True)
            except (ssh.paramiko().SSHException, OSError, EOFError):
                return
            self._last_reply = time.monotonic()

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._interval)):
            if time.monotonic() - self._last_reply > self._interval * (_MISSING_REPLIES + 1):
                self.close()
