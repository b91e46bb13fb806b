"""Serves the provider on a free port of this computer and prints the port, as the engine expects."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from .log import Engine
from .protocol import CHANNEL_OPTIONS, grpc, provider_pb2_grpc
from .provider import Provider

# More than an engine uses at once, so that a Cancel always gets a thread. Threads start only when needed.
_THREADS = 1000
_PARENT_CHECK = 2.0


def main() -> None:
    # Read before the port is printed. If the engine ends earlier, printing fails. If it ends later, the parent changes.
    parent = os.getppid()
    engine = Engine()
    # The engine's flags for logs and traces come before its address.
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if addresses:
        engine.attach(addresses[-1])
    provider = Provider(engine)
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    _wait_for_end(parent)
    provider.cancel_all()
    server.stop(grace=1).wait()
    # Threads may still wait for a dead connection. Nothing depends on them.
    os._exit(0)


def _wait_for_end(parent: int) -> None:
    """Waits for a signal, or until ``parent``, the engine's process, is gone."""
    end = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        end.set()

    # The engine sends SIGINT to its plugins' process group, and kills them after 5 seconds.
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    while not end.wait(_PARENT_CHECK):
        if os.getppid() != parent:
            return
