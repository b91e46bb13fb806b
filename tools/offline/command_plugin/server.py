"""Serve the provider on a free port of this machine, and print that port: the engine's handshake."""

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

# More than an engine runs at once, so that a Cancel always finds a thread. They start when they are needed.
_THREADS = 1000
_PARENT_CHECK = 2.0


def main() -> None:
    engine = Engine()
    # Flags for logs and traces may come first.
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if addresses:
        engine.attach(addresses[-1])
    provider = Provider(engine)
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    _wait_for_the_end()
    provider.cancel_all()
    server.stop(grace=1).wait()
    # Threads may still hang in a dead connection; nothing is left to do for them.
    os._exit(0)


def _wait_for_the_end() -> None:
    """Until told to end, or until the engine is gone."""
    end = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        end.set()

    # The engine ends its plugins by SIGINT to a process group of their own, and by force when that takes over 5 s.
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    parent = os.getppid()
    while not end.wait(_PARENT_CHECK):
        if os.getppid() != parent:
            return
