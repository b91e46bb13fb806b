"""Lets Nginx serve a deployment that isn't switched to, on an address that no visitor has."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager

from host import files
from host.paths import Paths

# A line of Nginx's error log: time, level, process, connection; then the message; then details of the request.
_MESSAGE = re.compile(r"\[\w+\] \d+#\d+: (?:\*\d+ )?(.*?)(?:, client: .*)?$")


@contextmanager
def served(paths: Paths, deployment: str) -> Generator[Callable[[], list[str]]]:
    """Serve ``deployment`` at ``ports.CANDIDATE_PORT`` during the block.

    Yields a function that returns Nginx's errors since then: its messages, without times and addresses.
    """
    log = paths.candidate_errors
    start = log.stat().st_size if log.exists() else 0

    def errors() -> list[str]:
        if not log.exists():
            return []
        with log.open("rb") as file:
            # After a rotation of logs, the file begins again.
            file.seek(start if log.stat().st_size >= start else 0)
            lines = file.read().decode(errors="replace").splitlines()
        return [match[1] for match in map(_MESSAGE.search, lines) if match]

    # A link that a killed run has left is replaced here. Nobody uses it until then.
    files.point(paths.candidate_socket, paths.deployment_socket(deployment))
    try:
        yield errors
    finally:
        paths.candidate_socket.unlink(missing_ok=True)
