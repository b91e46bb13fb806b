"""Rules for all suites.

- In CI a skipped test fails, because nobody would notice that it never ran.
- A test run fails if one of its processes outlives it.
- Where several workers share the tests, four of them boot machines: see ``scope_of``. The longest groups start first.
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

# Marks the processes of this test run: all of them inherit the variable, but machines don't.
RUN_VARIABLE = "GANTRY_TEST_RUN"
RUN_ID = os.environ.setdefault(RUN_VARIABLE, secrets.token_hex(8))
END_SECONDS = 10
# The tests start the project's programs many hundred times. Without bytecode, Python would compile them at each start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# The suites that release many small apps on one server each.
APP_SUITES = {
    f"tests/machine/test_{suite}.py"
    for suite in (
        "apps_under_load", "builds", "cases", "cron", "faults_of_the_app", "health_checks", "packages", "processes",
        "release_phase", "streams", "variables", "web_servers",
    )
}  # fmt: skip
# The suites that boot servers in a simulated cloud.
CLOUD_SUITES = {
    f"tests/clouds/test_{suite}.py"
    for suite in ("balanced_servers", "cleanup_after_kill", "guestbook", "single_server", "storage")
}
# The suite with several local servers and their balancer.
FLEET_SUITE = "tests/machine/test_fleet.py"
# The groups that take longest, in this order. They start first, so that none of them runs alone at the end.
FIRST_SCOPES = (
    "machines",
    "cloud",
    "apps",
    FLEET_SUITE,
    "tests/clouds/test_kills.py",
    "tests/clouds/test_failing_runs.py",
)
IN_CI = os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    return _fail_if_skipped_in_ci(report, "test")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    return _fail_if_skipped_in_ci(report, "module")


def _fail_if_skipped_in_ci(report: Any, part: str) -> Any:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"In CI this {part} must run, but it was skipped. {reason}"
    return report


def scope_of(nodeid: str) -> str:
    """The name of the group whose tests one worker runs: the suite's file, or all suites that boot the same machines.

    Tests that boot machines mostly wait. A computer with two processors has room for the machines of four groups:
    servers with apps, several local servers, other local machines, and simulated clouds.
    """
    file = nodeid.partition("::")[0]
    if file in APP_SUITES:
        return "apps"
    if file.startswith("tests/machine/") and file != FLEET_SUITE:
        return "machines"
    return "cloud" if file in CLOUD_SUITES else file


class MachineScheduling(LoadScopeScheduling):
    """Gives each group of tests to one worker, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> MachineScheduling:
    # By default the group with the most tests starts first, which is a quick one.
    config.option.loadscopereorder = False
    return MachineScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Without workers, the order of the command line stays.
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _position(scope_of(item.nodeid)))


def _position(scope: str) -> int:
    return FIRST_SCOPES.index(scope) if scope in FIRST_SCOPES else len(FIRST_SCOPES)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session):
    # After this yield, a run with workers has ended them.
    yield
    if hasattr(session.config, "workerinput"):
        return
    deadline = time.monotonic() + END_SECONDS
    while leftovers := processes():
        if time.monotonic() > deadline:
            print("\nprocesses that outlive the tests:", *leftovers, sep="\n  ")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        time.sleep(0.2)


def processes() -> list[str]:
    """The running processes of this test run: id and command line of each."""
    lines, mark = list[str](), f"{RUN_VARIABLE}={RUN_ID}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes().split(b"\0"):
                lines.append(f"{folder.name} {(folder / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}")
    return lines
