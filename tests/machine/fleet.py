"""Asks three servers behind a balancer, and breaks them. For test_fleet.py."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from components.local import launch
from tests.load import load
from tests.stack import Stack, get
from tools.setup import site_check

# If this file exists on a server, the app fails to start there.
BROKEN = "/var/lib/app/broken"
ALL_SERVERS = {"fleet-0", "fleet-1", "fleet-2"}


def check(stack: Stack, server: int | str) -> site_check.Verdict:
    """Run the command that `make up` runs on a machine if the site doesn't answer."""
    result = stack.ssh(*site_check.CHECK, server=server, check=False)
    return site_check.verdict(result.returncode, result.stdout, result.stderr)


def answers(url: str) -> bool:
    try:
        return get(url, timeout=2).status == 200
    except (OSError, http.client.HTTPException):
        return False


def hour_in(hours: int) -> str:
    """Two digits, in UTC: an hour at which these tests have ended."""
    return time.strftime("%H", time.gmtime(time.time() + hours * 3600))


def updates(stack: Stack, server: int) -> str:
    """What `gantry check` says about security updates."""
    return stack.ssh("sudo gantry check | grep ^updates", server=server).stdout


def boot(stack: Stack, server: int) -> str:
    """When the server booted; empty while it can't be reached."""
    command = "systemctl show --value --property=UserspaceTimestampMonotonic"
    return stack.ssh(command, server=server, check=False).stdout


def break_app(stack: Stack, server: int) -> None:
    """Make the next release fail on this server."""
    stack.ssh(f"sudo touch {BROKEN}", server=server)


def mend_app(stack: Stack, server: int) -> None:
    stack.ssh(f"sudo rm {BROKEN}", server=server)


def failing_up_under_load(stack: Stack, url: str, folder: Path, *, requests: int) -> str:
    """Run an `up` that fails because of a broken app, while more than so many requests succeed; returns its stdout."""
    with load(f"{url}echo", folder) as results:
        result = stack.failing_up()
    assert "this server is out of luck" in result.stdout
    assert (results.failed, results.requests > requests) == ({}, True)
    return result.stdout


def pages(url: str) -> set[str]:
    return {get(url).text for _ in range(9)}


def answering_servers(url: str) -> set[str]:
    return {get(f"{url}who").text for _ in range(12)}


def wait_until_answering(url: str, servers: set[str]) -> None:
    launch.wait_until(lambda: answering_servers(url) == servers, f"{servers} to answer", 30)


def status(stack: Stack, number: int) -> dict[str, Any]:
    return json.loads(stack.ssh("sudo gantry status --json", server=number).stdout)


def served_releases(stack: Stack) -> set[str]:
    """The releases that serve on the three servers."""
    return {status(stack, number)["release"] for number in range(3)}


def assert_workers_and_timers(stack: Stack, release: str) -> None:
    """Assert that each server runs this release's worker, and only the first server has its cron timer."""
    worker = [f"{release}-worker-1"]
    servers = [workers_and_timers(stack, number) for number in range(3)]
    assert servers == [(worker, [release]), (worker, []), (worker, [])]


def workers_and_timers(stack: Stack, number: int) -> tuple[list[str], list[str]]:
    """The workers, without the digits of their deployment; and the releases of the cron timers."""
    workers = [re.sub("-[0-9a-f]{6}-", "-", name) for name in status(stack, number)["processes"]]
    units = stack.ssh("systemctl list-units --plain --no-legend 'gantry-cron@*.timer'", server=number).stdout
    return workers, re.findall("@([0-9a-f]{12})-", units)


def rollback_timer(stack: Stack, number: int) -> str:
    """The line of the timer that rolls the server back, or nothing."""
    return stack.ssh("systemctl list-timers --no-legend gantry-revert.timer", server=number).stdout.strip()


def make_up_with_page(stack: Stack, number: int) -> subprocess.CompletedProcess[str]:
    """Do what `make up` does, with another page."""
    source = stack.app / "rocket.py"
    source.write_text(re.sub(r"Hello \w+!", f"Hello {number}!", source.read_text()))
    return stack.make_up()
