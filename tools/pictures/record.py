"""Records commands in a terminal, with their times: python3 -m tools.pictures.record FILE COMMAND...

It ends with the first command that fails. The file is an asciicast (version 2), which asciinema plays, too:
https://docs.asciinema.org/manual/asciicast/v2/. Each line after the first is ``[seconds, "o", output]``.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

COLUMNS, ROWS = 124, 32
PROMPT = "\x1b[32m$\x1b[0m "
# A person reads the prompt before the command, and the output before the next prompt.
BEFORE_SECONDS, AFTER_SECONDS = 0.6, 1.0
TYPING_SECONDS = 0.07
TOGETHER_SECONDS = 0.04
CHUNK_BYTES = 65536


class Recording:
    """Pieces of output, each with the second at which it came."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        self._start = time.monotonic()

    def add(self, output: str) -> None:
        self.events.append((round(time.monotonic() - self._start, 3), output))

    def write(self, file: Path, title: str) -> None:
        header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": f"The terminal of {title}"}
        lines = [json.dumps(header), *(json.dumps([seconds, "o", output]) for seconds, output in self._joined())]
        file.write_text("\n".join(lines) + "\n")

    def _joined(self) -> list[tuple[float, str]]:
        """The events. Output that came at nearly the same time is one event."""
        joined: list[tuple[float, str]] = []
        for seconds, output in self.events:
            if joined and seconds - joined[-1][0] < TOGETHER_SECONDS:
                joined[-1] = (joined[-1][0], joined[-1][1] + output)
            else:
                joined.append((seconds, output))
        return joined


def record(commands: list[str]) -> Recording:
    """Runs the commands one after the other. Raises CalledProcessError when one fails."""
    recording = Recording()
    for command in commands:
        recording.add(PROMPT)
        time.sleep(BEFORE_SECONDS)
        for character in command:
            recording.add(character)
            time.sleep(TYPING_SECONDS)
        recording.add("\r\n")
        _run(command, recording)
        time.sleep(AFTER_SECONDS)
    recording.add(PROMPT)
    return recording


def _run(command: str, recording: Recording) -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        ["sh", "-c", command], stdin=terminal, stdout=terminal, stderr=terminal, env=env, start_new_session=True
    )
    os.close(terminal)
    # A character may be cut between two reads.
    pending = b""
    while chunk := _read(controller):
        text, pending = _decoded(pending + chunk)
        recording.add(text)
    os.close(controller)
    if process.wait() != 0:
        raise subprocess.CalledProcessError(process.returncode, command)


def _read(controller: int) -> bytes:
    """The next output; nothing once the terminal is closed, which Linux reports as an error."""
    try:
        return os.read(controller, CHUNK_BYTES)
    except OSError:
        return b""


def _decoded(output: bytes) -> tuple[str, bytes]:
    try:
        return output.decode(), b""
    except UnicodeDecodeError as error:
        return output[: error.start].decode(), output[error.start :]


if __name__ == "__main__":
    record(sys.argv[2:]).write(Path(sys.argv[1]), " and ".join(sys.argv[2:]))
