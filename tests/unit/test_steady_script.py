"""The script that lets the pauses before restarts begin again, with a systemctl that only records its calls."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from components.server.configuration import WEB_UNIT, configuration
from host import systemd
from host.paths import Paths
from tests.stack_settings import make_settings

SYSTEMCTL = """#!/bin/sh
echo "$@" >> $CALLS
[ "$1" = show ] && printf 'ExecMainStartTimestampMonotonic=%s\\nActiveEnterTimestampMonotonic=%s\\n' $STARTED $ENTERED
[ "$1" = show ] && printf 'ActiveExitTimestampMonotonic=%s\\n' $EXITED
exit 0
"""
HOUR = 3_600_000_000
# A start that failed before the unit was active: the times are of the run before it.
FAILED_START = (2 * HOUR, HOUR, 2 * HOUR - 1)


@pytest.mark.parametrize(
    ("started", "entered", "exited", "resets"),
    [
        (HOUR, HOUR + 5, HOUR + 60_000_005, True),
        (HOUR, HOUR + 5, HOUR + 60_000_004, False),
        (HOUR, HOUR + 50_000_000, HOUR + 60_000_005, False),
        (*FAILED_START, False),
        (0, 0, 0, False),
    ],
)
def test_the_count_of_restarts_is_reset_after_a_run_of_a_minute(
    tmp_path: Path, started: int, entered: int, exited: int, resets: bool
):
    files = configuration(make_settings(), "/h.pyz").files
    for name, text in (("steady", files[str(Paths().steady_script)]), ("systemctl", SYSTEMCTL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    env |= {"STARTED": str(started), "ENTERED": str(entered), "EXITED": str(exited)}
    subprocess.run([tmp_path / "steady", "gantry-web@a-1.service", "60"], env=env, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[1:] == (["reset-failed gantry-web@a-1.service"] if resets else [])


def test_all_units_that_systemd_restarts_without_an_end_have_the_script():
    files = configuration(make_settings(), "/h.pyz").files
    # The drop-ins of daemons wait at most 0.8 s, so their pauses needn't begin again.
    units = [path for path, text in files.items() if "RestartSteps" in text and path.endswith(".service")]
    assert units == [WEB_UNIT, str(Paths().units / systemd.PROCESS_UNIT.format(""))]
    for unit in units:
        assert f"{Paths().steady_script} %n 60\n" in files[unit]
