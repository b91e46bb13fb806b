"""The process of the dynamic providers ends with its engine. A listener stands for the engine."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Waits as Pulumi's main function does, with a call in progress.
PROGRAM = """
import sys, threading, time
sys.orig_argv = ["python", "-u", "-m", sys.argv[1], sys.argv[2]]
from components import provider_process
provider_process.PAUSE_SECONDS = 0.1
import components.keys, components.providers
print("ready", threading.active_count(), flush=True)
call = threading.Thread(target=lambda: (time.sleep(2), print("the call ended", flush=True)))
call.start()
try:
    threading.Event().wait(5)
    print("still there", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("module", "threads", "is_engine_alive", "words"),
    [
        ("pulumi.dynamic", 2, False, ["interrupted", "the call ended"]),
        ("pulumi.dynamic", 2, True, ["the call ended", "still there"]),
        ("another.program", 1, False, ["the call ended", "still there"]),
    ],
)
def test_providers_end_with_their_engine_and_finish_calls_in_progress(
    module: str, threads: int, *, is_engine_alive: bool, words: list[str]
):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as engine:
        command = [sys.executable, "-c", PROGRAM, module, f"127.0.0.1:{engine.getsockname()[1]}"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=_with_sigint) as process:
            assert process.stdout
            assert process.stdout.readline() == f"ready {threads}\n"
            if not is_engine_alive:
                engine.close()
            start = time.monotonic()
            assert process.stdout.read().splitlines() == words
            assert process.wait(timeout=20) == 0
            assert (time.monotonic() - start < 4) == ("interrupted" in words)


def _with_sigint() -> None:
    # A shell's background job ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
