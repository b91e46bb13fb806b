"""Shared by all suites: in CI a skipped test has failed, because nobody would see that it never ran.

And no process outlives the tests.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

import pytest

# Whatever a test starts inherits it; machines have an environment of their own.
NAME, VALUE = "GANTRY_TEST_RUN", secrets.token_hex(8)
END_SECONDS = 10
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


def pytest_configure() -> None:
    os.environ[NAME] = VALUE


def pytest_sessionfinish(session: pytest.Session) -> None:
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
