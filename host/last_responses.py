"""Ends visitors' kept connections with a response, before Nginx closes them."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from host import files
from host.paths import Paths

# How long each response ends its connection. After that, only connections that are idle for longer are left.
SECONDS = 3.0


@contextmanager
def ended_connections(paths: Paths) -> Generator[None]:
    """Wait until only idle connections are left. In the block, Nginx may close them without losing a request.

    Without the wait, a request could be arriving on a connection that Nginx closes. While the file exists, Nginx ends
    each connection with ``Connection: close`` (cloud-init/site/is_last.conf.j2).
    """
    files.write(paths.last_responses, b"", 0o644)
    try:
        time.sleep(SECONDS)
        yield
    finally:
        paths.last_responses.unlink(missing_ok=True)
