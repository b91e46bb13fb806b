"""Shared by all suites: in CI a skipped test has failed, because nobody would see that it never ran.

No process outlives the tests. Where two workers share them, one has those that boot machines of this computer.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Whatever a test starts inherits it, a worker too; machines have an environment of their own.
NAME = "GANTRY_TEST_RUN"
VALUE = os.environ.setdefault(NAME, secrets.token_hex(8))
END_SECONDS = 10
# The suites that boot servers in a simulated cloud.
CLOUD = {f"tests/clouds/test_{story}.py" for story in ("balanced_servers", "cleanup_after_kill", "single_server")}
IN_CI = os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"In CI this test must run, and it was skipped. {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    if IN_CI and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"In CI this module must run, and it was skipped. {reason}"
    return report


class OneSite(LoadScopeScheduling):
    """One worker has all that boots machines, and one all of the simulated cloud: a computer has room for one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/machine/"):
            return "machines"
        return "cloud" if file in CLOUD else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneSite:
    return OneSite(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session):
    # By now a run that had workers has ended them.
    yield
    if hasattr(session.config, "workerinput"):
        return
    deadline = time.monotonic() + END_SECONDS
    while left := processes():
        if time.monotonic() > deadline:
            print("\nprocesses that tests have left:", *left, sep="\n  ")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        time.sleep(0.2)


def processes() -> list[str]:
    """What was started by this run and hasn't ended: numbers and command lines."""
    found, mark = list[str](), f"{NAME}={VALUE}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(f"{folder.name} {(folder / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}")
    return found
