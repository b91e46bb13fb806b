"""Three servers behind a balancer: releases, failures, scaling and maintenance. The tests run in their order."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kills import kill_machine, kill_up_once_it_says
from tests.load import load
from tests.stack import Stack, copy_of_rocket, get

pytestmark = pytest.mark.machine

BROKEN = "/var/lib/app/broken"
APP = f"""

import os
import socket

if os.path.exists("{BROKEN}"):
    raise RuntimeError("this server is out of luck")


@app.route("/who")
def who():
    return socket.gethostname()
"""


FILES = {
    "Procfile": "web: gunicorn rocket:app\nworker: sleep 1d\nrelease: sh -c 'echo $RELEASE >> /var/lib/app/migrated'\n",
    "app.json": json.dumps({"cron": [{"schedule": "0 3 * * *", "command": "true"}]}),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("fleet")
    app = copy_of_rocket(folder)
    (app / "rocket.py").write_text((app / "rocket.py").read_text() + APP)
    for name, text in FILES.items():
        (app / name).write_text(text)
    settings: dict[str, object] = {"app": str(app), "domain": "rocket.test", "healthPath": "/healthz", "servers": 3}
    stack = Stack("fleet", folder, settings)
    try:
        yield stack
    finally:
        stack.destroy()


@pytest.fixture(scope="module")
def url(stack: Stack) -> str:
    stack.up()
    return stack.outputs()["url"]


def test_requests_are_spread_over_all_servers(stack: Stack, url: str):
    assert answering(url) == {"fleet-0", "fleet-1", "fleet-2"}


def test_workers_run_on_all_servers_but_the_release_process_and_cron_on_the_first_alone(stack: Stack, url: str):
    release = stack.outputs()["release"]
    assert [beside_web(stack, number) for number in range(3)] == [
        ([f"{release}-worker-1"], [release]), ([f"{release}-worker-1"], []), ([f"{release}-worker-1"], [])
    ]  # fmt: skip
    migrated = [stack.on(number, "sudo cat /var/lib/app/migrated", check=False).stdout for number in range(3)]
    assert migrated == [f"{release}\n", "", ""]


def test_the_app_sees_the_visitors_address_through_the_balancer_whatever_the_visitor_claims(stack: Stack, url: str):
    outputs = stack.outputs()
    with socket.create_connection((outputs["balancer"]["address"], 80)) as connection:
        own = connection.getsockname()[0]
    asked = ["curl", "-s", "-H", "Host: rocket.test", "-H", "X-Forwarded-For: 1.2.3.4", f"{url}visitor"]
    seen = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    assert seen == {"address": own, "url": "http://rocket.test/visitor"}


def test_a_server_admits_visitors_from_the_balancer_only(stack: Stack, url: str):
    for server in stack.outputs()["servers"]:
        with pytest.raises(OSError):
            socket.create_connection((server["address"], 80), timeout=1).close()


def test_when_the_third_server_fails_all_go_back_and_up_says_which_and_why(stack: Stack, url: str, tmp_path: Path):
    before = stack.outputs()["release"]
    stack.on(2, f"sudo touch {BROKEN}")
    stack.edit("Hello World!", "Hello Mars!")
    with load(f"{url}echo", tmp_path) as seen:
        done = stack.up(check=False)
    assert done.returncode != 0
    assert "fleet-2-release" in done.stdout
    assert "this server is out of luck" in done.stdout
    assert "fleet-1-release updated" in done.stdout
    assert {status(stack, number)["release"] for number in range(3)} == {before}
    worker = [f"{before}-worker-1"]
    assert [beside_web(stack, number) for number in range(3)] == [(worker, [before]), (worker, []), (worker, [])]
    assert pages(url) == {"Hello World!\n"}
    assert (seen.failed, seen.requests > 500) == ({}, True)


def test_the_next_up_with_the_same_release_needs_no_repair(stack: Stack, url: str):
    stack.on(2, f"sudo rm {BROKEN}")
    stack.up()
    assert pages(url) == {"Hello Mars!\n"}
    found = [status(stack, number) for number in range(3)]
    assert {each["release"] for each in found} == {stack.outputs()["release"]}
    assert all(each["deployment"] == each["proven"] for each in found)
    assert [timer(stack, number) for number in range(3)] == ["", "", ""]
    assert stack.steps() == {}


def test_after_a_failure_the_release_before_can_be_asked_for_as_well(stack: Stack, url: str):
    stack.on(2, f"sudo touch {BROKEN}")
    stack.edit("Hello Mars!", "Hello Venus!")
    assert stack.up(check=False).returncode != 0
    stack.edit("Hello Venus!", "Hello Mars!")
    stack.on(2, f"sudo rm {BROKEN}")
    stack.up()
    assert pages(url) == {"Hello Mars!\n"}
    assert stack.steps() == {}


def test_when_up_is_killed_in_the_middle_a_timer_takes_the_servers_back(stack: Stack, url: str):
    stack.edit("Hello Mars!", "Hello Pluto!")
    kill_up_once_it_says(stack, "fleet-0-release updated")
    assert status(stack, 0)["release"] != status(stack, 2)["release"]
    assert timer(stack, 0)
    stack.on(0, "sudo systemctl start gantry-revert.service")  # as the timer does
    stack.on(1, "sudo gantry rollback")
    assert pages(url) == {"Hello Mars!\n"}
    assert not timer(stack, 0)
    stack.pulumi("cancel", "--yes")
    stack.up()
    assert pages(url) == {"Hello Pluto!\n"}


def test_a_dead_server_is_not_noticed_by_visitors_and_named_by_up(stack: Stack, url: str, tmp_path: Path):
    dead = stack.outputs()["servers"][1]["instance_id"]
    with load(url, tmp_path, method="GET") as seen:
        kill_machine(dead)
        time.sleep(4)
        assert answering(url) == {"fleet-0", "fleet-2"}
        assert stack.steps() == {"fleet-1": "update"}
        stack.up()
        wait_for(url, {"fleet-0", "fleet-1", "fleet-2"})
    assert (seen.failed, seen.requests > 500) == ({}, True)


def test_maintenance_turns_visitors_away_with_the_apps_page_and_lets_health_checks_through(stack: Stack, url: str):
    (stack.app / "maintenance.html").write_text("<h1>Back soon</h1>\n")
    stack.up()
    release = stack.outputs()["release"]
    stack.configure(maintenance=True)
    assert stack.steps() == {
        f"fleet-{number}-{role}": "update" for number in range(3) for role in ("configure", "closed")
    }
    assert "Back soon" not in get(url).text
    stack.up()
    for method in ("GET", "POST"):
        answer = get(url, host="rocket.test", method=method)
        assert (answer.status, answer.text, answer.headers["Retry-After"]) == (503, "<h1>Back soon</h1>\n", "300")
    assert [get(f"{url}healthz").status for _ in range(6)] == [200] * 6
    assert [get(f"{url}{path}").status for path in ("|/healthz", "x|/healthz", "x/healthz")] == [503] * 3
    stack.edit("Hello Pluto!", "Hello Ceres!")
    stack.up()  # a release goes through meanwhile
    assert get(url).status == 503
    stack.configure(maintenance=None)
    stack.up()
    assert pages(url) == {"Hello Ceres!\n"}
    assert stack.outputs()["release"] != release


def test_without_a_canary_all_switch_at_once_and_go_back_when_one_fails(stack: Stack, url: str, tmp_path: Path):
    stack.configure(canary=False)
    stack.edit("Hello Ceres!", "Hello Moon!")
    stack.up()
    before = stack.outputs()["release"]
    assert pages(url) == {"Hello Moon!\n"}
    migrated = stack.on(0, "sudo tail -n 1 /var/lib/app/migrated").stdout
    assert migrated == f"{before}\n"
    stack.on(1, f"sudo touch {BROKEN}")
    stack.edit("Hello Moon!", "Hello Sun!")
    with load(f"{url}echo", tmp_path) as seen:
        done = stack.up(check=False)
    assert done.returncode != 0
    assert "this server is out of luck" in done.stdout
    assert {status(stack, number)["release"] for number in range(3)} == {before}
    assert pages(url) == {"Hello Moon!\n"}
    assert (seen.failed, seen.requests > 300) == ({}, True)
    stack.on(1, f"sudo rm {BROKEN}")
    stack.up()
    assert pages(url) == {"Hello Sun!\n"}
    stack.configure(canary=None)
    stack.up()
    assert stack.steps() == {}


def test_from_three_servers_to_one_and_back_no_request_fails(stack: Stack, url: str, tmp_path: Path):
    with load(f"{url}echo", tmp_path) as seen:
        stack.configure(servers=1, balancer=True)
        stack.up()
        assert answering(url) == {"fleet-0"}
        stack.configure(servers=3)
        stack.up()
        wait_for(url, {"fleet-0", "fleet-1", "fleet-2"})
    assert stack.outputs()["url"] == url
    assert (seen.failed, seen.requests > 500) == ({}, True)


def pages(url: str) -> set[str]:
    return {get(url).text for _ in range(9)}


def answering(url: str) -> set[str]:
    return {get(f"{url}who").text for _ in range(12)}


def wait_for(url: str, servers: set[str]) -> None:
    deadline = time.monotonic() + 30
    while (found := answering(url)) != servers:
        assert time.monotonic() < deadline, f"only {found} answer"
        time.sleep(0.5)


def status(stack: Stack, number: int) -> dict[str, Any]:
    return json.loads(stack.on(number, "sudo gantry status --json").stdout)


def beside_web(stack: Stack, number: int) -> tuple[list[str], list[str]]:
    """The processes that run beside web, and the releases of the timers; both without the instances' digests."""
    running = [re.sub("-[0-9a-f]{6}-", "-", name) for name in status(stack, number)["processes"]]
    listed = stack.on(number, "systemctl list-units --plain --no-legend 'gantry-cron@*.timer'").stdout
    return running, re.findall("@([0-9a-f]{12})-", listed)


def timer(stack: Stack, number: int) -> str:
    return stack.on(number, "systemctl list-timers --no-legend gantry-revert.timer").stdout.strip()
