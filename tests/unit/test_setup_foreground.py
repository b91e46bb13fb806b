from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Like the engine, it needs a second after Ctrl-C to save its state.
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


def test_after_ctrl_c_the_engine_has_time_to_save_its_state():
    wrapper = (
        "import sys; from tools.setup.targets import run_in_foreground; sys.exit(run_in_foreground(sys.argv[1:], {}))"
    )
    command = [sys.executable, "-c", wrapper, sys.executable, "-c", ENGINE]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as run:
        assert run.stdout
        assert run.stdout.readline() == "working\n"
        os.killpg(run.pid, signal.SIGINT)
        assert run.stdout.read() == "saved\n"
    assert run.returncode == 7


def test_the_engine_of_a_background_job_does_not_ignore_sigint():
    code = "import sys; from pathlib import Path; from tools.setup.launch import run_in_place; "
    code += "run_in_place(Path(sys.argv[1]), sys.argv[2:], {})"
    status = ["/bin/grep", "SigIgn", "/proc/self/status"]
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", code, *status]
    ignored = int(subprocess.run(ignoring, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()[1], 16)
    assert not ignored & 1 << (signal.SIGINT - 1)
