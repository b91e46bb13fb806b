"""One running create, update, delete or invoke: its cancellation, its timeout and its log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol


class CommandError(Exception):
    """A failure. The user sees its message in the terminal."""


class Log(Protocol):
    def line(self, text: str) -> None: ...
    def status(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


class Operation:
    """Can be cancelled by the engine's Cancel, by the end of the engine's call, or by the resource's timeout."""

    def __init__(self, log: Log, timeout: float = 0) -> None:
        self.log = log
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._reason = ""
        self._stops: list[Callable[[], None]] = []
        self._timer: threading.Timer | None = None
        if timeout > 0:
            self._timer = threading.Timer(timeout, self.cancel, (f"timed out after {timeout:g} s",))
            self._timer.daemon = True
            self._timer.start()

    def cancel(self, reason: str) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            self._reason = reason
            self._ended.set()
            stops = list(self._stops)
        for stop in stops:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Generator[None]:
        """While the block runs, a cancellation calls `stop`. An earlier cancellation calls it immediately."""
        with self._lock:
            self._stops.append(stop)
            is_late = self._ended.is_set()
        if is_late:
            stop()
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)

    def finish(self) -> None:
        """Stops the timeout."""
        if self._timer is not None:
            self._timer.cancel()

    def pause(self, seconds: float) -> None:
        """Waits. A cancellation ends the pause with a CommandError."""
        self._ended.wait(seconds)
        self.raise_if_cancelled()

    @property
    def cancelled(self) -> bool:
        return self._ended.is_set()

    @property
    def reason(self) -> str:
        return self._reason

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise CommandError(self._reason)
