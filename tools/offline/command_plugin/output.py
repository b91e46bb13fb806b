"""Collects a command's output: complete for the state, in order for an error, and line by line for the log."""

from __future__ import annotations

import codecs
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .operation import CommandError

# The limit of a message in the engine's log. Longer lines are logged in pieces.
_LONGEST_LINE = 60 * 1024


@dataclass(frozen=True)
class Result:
    stdout: str
    stderr: str


class _Lines:
    """Cuts one stream into lines as its data arrives."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._incomplete = ""

    def feed(self, data: bytes, *, final: bool = False) -> None:
        text = self._incomplete + self._decoder.decode(data, final)
        *lines, incomplete = text.split("\n")
        for line in lines:
            self._emit_in_pieces(line.removesuffix("\r"))
        while len(incomplete) > _LONGEST_LINE:
            self._emit(incomplete[:_LONGEST_LINE])
            incomplete = incomplete[_LONGEST_LINE:]
        if final and incomplete:
            self._emit(incomplete)
        self._incomplete = incomplete

    def _emit_in_pieces(self, line: str) -> None:
        for start in range(0, max(len(line), 1), _LONGEST_LINE):
            self._emit(line[start : start + _LONGEST_LINE])


class Output:
    def __init__(self, logging: str | None, emit: Callable[[str], None]) -> None:
        self._lock = threading.Lock()
        self._stdout, self._stderr, self._both = bytearray(), bytearray(), bytearray()
        self._stdout_lines = _Lines(emit) if logging in (None, "stdout", "stdoutAndStderr") else None
        self._stderr_lines = _Lines(emit) if logging in (None, "stderr", "stdoutAndStderr") else None

    def stdout(self, data: bytes) -> None:
        self._add(data, self._stdout, self._stdout_lines)

    def stderr(self, data: bytes) -> None:
        self._add(data, self._stderr, self._stderr_lines)

    def _add(self, data: bytes, stream: bytearray, lines: _Lines | None) -> None:
        with self._lock:
            stream += data
            self._both += data
        if lines is not None:
            lines.feed(data)

    def end(self) -> None:
        """Logs the text after the last line break."""
        for lines in (self._stdout_lines, self._stderr_lines):
            if lines is not None:
                lines.feed(b"", final=True)

    def result(self) -> Result:
        return Result(_text(self._stdout).removesuffix("\n"), _text(self._stderr).removesuffix("\n"))

    def failure(self, reason: str, command: str) -> CommandError:
        with self._lock:
            output = _text(self._both)
        return CommandError(f"{reason}: running {json.dumps(command, ensure_ascii=False)}:\n{output}")


def _text(data: bytearray) -> str:
    # The state holds text. Invalid UTF-8 becomes replacement characters.
    return data.decode("utf-8", "replace")
