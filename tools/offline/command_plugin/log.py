"""Sends lines to the engine's log, in order. A separate thread sends them, so that no command waits."""

from __future__ import annotations

import queue
import threading
from typing import Any

from .protocol import CHANNEL_OPTIONS, engine_pb2, engine_pb2_grpc, grpc

# Up to this many waiting lines, each is a message. More lines are joined to messages of up to _PIECE characters:
# otherwise, logging a lot of output would take minutes longer than the command.
_BACKLOG = 50
_PIECE = 32 * 1024


class Engine:
    """The engine's log. Until `attach` sets its address, messages are dropped."""

    def __init__(self) -> None:
        self._stub: Any = None

    def attach(self, address: str) -> None:
        channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = engine_pb2_grpc.EngineStub(channel)

    def send(self, severity: str, urn: str, message: str, *, ephemeral: bool) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(
            severity=engine_pb2.LogSeverity.Value(severity), urn=urn, message=message, ephemeral=ephemeral
        )
        try:
            self._stub.Log(request)
        except grpc.RpcError:
            # The engine has stopped. The command's result matters more than its lines.
            self._stub = None


class OperationLog:
    """The log of one resource. `close` returns when all lines have been sent."""

    def __init__(self, engine: Engine, urn: str) -> None:
        self._engine = engine
        self._urn = urn
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._sender: threading.Thread | None = None
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        with self._lock:
            if self._sender is None:
                self._sender = threading.Thread(target=self._send_lines, name="log", daemon=True)
                self._sender.start()
        self._lines.put(text)

    def status(self, text: str) -> None:
        self._engine.send("INFO", self._urn, text, ephemeral=True)

    def warning(self, text: str) -> None:
        self._engine.send("WARNING", self._urn, text, ephemeral=False)

    def error(self, text: str) -> None:
        self._engine.send("ERROR", self._urn, text, ephemeral=False)

    def close(self) -> None:
        if self._sender is not None:
            self._lines.put(None)
            self._sender.join()

    def _send_lines(self) -> None:
        open_ = True
        while open_:
            waiting = [self._lines.get()]
            while not self._lines.empty():
                waiting.append(self._lines.get())
            lines = [line for line in waiting if line is not None]
            open_ = len(lines) == len(waiting)
            for message in lines if len(lines) <= _BACKLOG else _in_pieces(lines):
                self.status(message)


def _in_pieces(lines: list[str]) -> list[str]:
    pieces: list[str] = []
    current: list[str] = []
    size = 0
    for line in lines:
        if current and size + len(line) > _PIECE:
            pieces.append("\n".join(current))
            current, size = [], 0
        current.append(line)
        size += len(line)
    return [*pieces, "\n".join(current)]
