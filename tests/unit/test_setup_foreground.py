from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Needs a second after Ctrl-C to save what it has, as the engine does.
ENGINE = """
import os, signal, sys, time
def save(*_):
    time.sleep(1)
    os.write(1, b"saved\\n")
    sys.exit(7)
signal.signal(signal.SIGINT, save)
os.write(1, b"working\\n")
time.sleep(30)
"""


def test_ctrl_c_leaves_the_engine_the_time_to_save_its_state():
    wrapper = "import sys; from tools.setup.targets import _code_of; sys.exit(_code_of(sys.argv[1:], {}))"
    command = [sys.executable, "-c", wrapper, sys.executable, "-c", ENGINE]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as run:
        assert run.stdout
        assert run.stdout.readline() == "working\n"
        os.killpg(run.pid, signal.SIGINT)
        assert run.stdout.read() == "saved\n"
    assert run.returncode == 7
