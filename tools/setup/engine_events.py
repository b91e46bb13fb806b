"""Reads the engine's errors and warnings, and the stack's outputs, while it runs.

The engine writes its events to a named pipe, so that no event is ever on a disk: debug messages contain private keys.
"""

from __future__ import annotations

import json
import os
import re
import select
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.setup.failure import Diagnostic

# The engine knows --event-log only with this variable.
VARIABLES = {"PULUMI_DEBUG_COMMANDS": "true"}
# The engine marks colours like this in its events.
_COLOUR = re.compile(r"<\{%.*?%\}>")
_STACK_TYPE = b'"pulumi:pulumi:Stack"'


class Events:
    """``options`` are the engine's arguments. ``diagnostics`` and ``outputs`` are complete after the block of `events`.

    ``outputs`` are the stack's, without the values of secrets. They are empty if the engine registered none.
    """

    def __init__(self, pipe: Path) -> None:
        self.options = ["--event-log", str(pipe)]
        self.diagnostics: list[Diagnostic] = []
        self.outputs: dict[str, Any] = {}
        self._incomplete = b""

    def read(self, descriptor: int, ended: threading.Event) -> None:
        """Reads until the engine has ``ended`` and nothing is left in the pipe."""
        while True:
            # Before the read: what the engine wrote until then is still read.
            is_last = ended.is_set()
            select.select([descriptor], [], [], 0.05)
            try:
                data = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                data = b""
            self._take(data)
            if not data:
                if is_last:
                    return
                # Without a writer, the pipe counts as readable.
                ended.wait(0.05)

    def _take(self, data: bytes) -> None:
        *lines, self._incomplete = (self._incomplete + data).split(b"\n")
        for line in lines:
            # Most events are neither of these, and some are long.
            if b'"diagnosticEvent"' in line:
                self._take_diagnostic(json.loads(line).get("diagnosticEvent"))
            elif b'"resOutputsEvent"' in line and _STACK_TYPE in line:
                self._take_outputs(json.loads(line).get("resOutputsEvent"))

    def _take_diagnostic(self, event: dict[str, Any] | None) -> None:
        if event and event.get("severity") in ("error", "warning"):
            text = _COLOUR.sub("", event["message"]).strip()
            self.diagnostics.append(Diagnostic(event.get("urn") or "", event["severity"], text))

    def _take_outputs(self, event: dict[str, Any] | None) -> None:
        # https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/apitype/events.go
        if event and event["metadata"]["type"] == "pulumi:pulumi:Stack":
            new: dict[str, Any] = event["metadata"].get("new") or {}
            self.outputs = new.get("outputs") or {}


@contextmanager
def events() -> Generator[Events]:
    """Reads the events of an engine that is started in the block with the ``options``."""
    with TemporaryDirectory(prefix="gantry-") as folder:
        pipe = Path(folder, "events")
        os.mkfifo(pipe, 0o600)
        descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        result, ended = Events(pipe), threading.Event()
        reader = threading.Thread(target=result.read, args=(descriptor, ended))
        reader.start()
        try:
            yield result
        finally:
            ended.set()
            reader.join()
            os.close(descriptor)
