"""Ends the process of the dynamic providers if its engine is gone. Every module with a provider begins with this."""

from __future__ import annotations

import functools
import os
import signal
import socket
import sys
import threading
import time

MODULE = "pulumi.dynamic"
PAUSE_SECONDS = 2.0


@functools.cache
def end_with_the_engine() -> None:
    """Watches the engine from now on, if this is the process that runs dynamic providers.

    Pulumi's own code doesn't: it would stay for ever after an engine that was killed.
    """
    *_, module, address = ["", *sys.orig_argv]
    if module == MODULE and ":" in address:
        threading.Thread(target=_watch, args=(address,), daemon=True).start()


def _watch(address: str) -> None:
    """Waits until nobody listens at the engine's ``address``. The parent process isn't the engine, but a shell."""
    host, _, port = address.rpartition(":")
    while True:
        time.sleep(PAUSE_SECONDS)
        try:
            socket.create_connection((host, int(port)), timeout=PAUSE_SECONDS).close()
        except ConnectionRefusedError:
            break
        except OSError:
            continue
    # Pulumi's main function ends at SIGINT. Python then waits for calls in progress, such as a machine's creation. A
    # background job of a shell ignores SIGINT.
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    os.kill(os.getpid(), signal.SIGTERM if is_ignored else signal.SIGINT)
