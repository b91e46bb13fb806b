from __future__ import annotations

import signal
import subprocess
import sys

import pulumi
import pytest

from components import ending
from components.errors import UserError
from tests.stack import ROOT

# A program whose registration is never answered, as after a failure in the engine.
PROGRAM = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
from components import ending

ending.end_at_the_engines_signal()
loop = asyncio.new_event_loop()
loop.set_default_executor(ThreadPoolExecutor())
never = threading.Event()

async def register():
    waiting = loop.run_in_executor(None, never.wait)
    loop.call_later(0.1, lambda: print("waiting", flush=True))
    await waiting

loop.run_until_complete(register())
"""


def test_the_program_ends_at_the_engines_signal_though_a_registration_is_never_answered():
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout
            assert program.stdout.readline() == "waiting\n"
            program.send_signal(signal.SIGINT)
            _, stderr = program.communicate(timeout=30)
        finally:
            program.kill()
    assert program.returncode == -signal.SIGINT
    assert stderr == ""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors that the engine shows."""
    errors: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", errors.append)
    return errors


@pytest.mark.parametrize("error", [UserError("domain is 'x'"), Exception("the credentials have expired")])
def test_an_error_that_a_user_can_fix_is_shown_once_and_the_engine_adds_no_line(shown: list[str], error: Exception):
    with pytest.raises(SystemExit) as end, ending.errors_as_text():
        raise error
    assert shown == [str(error)]
    assert end.value.code == 32


def test_a_mistake_in_the_program_keeps_its_traceback(shown: list[str]):
    with pytest.raises(KeyError), ending.errors_as_text():
        raise KeyError("name")
    assert shown == []
