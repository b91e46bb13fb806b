"""Three servers behind a balancer: releases, failures, scaling and maintenance. The tests run in this order."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.local import launch
from tests.kills import kill_machine, kill_up_at_output
from tests.load import load
from tests.machine import django_app
from tests.stack import Stack, copy_example_app, get

pytestmark = pytest.mark.machine

# If this file exists on a server, the app fails to start there.
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
ALL_SERVERS = {"fleet-0", "fleet-1", "fleet-2"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("fleet")
    app = copy_example_app(folder)
    (app / "rocket.py").write_text((app / "rocket.py").read_text() + APP)
    for name, text in FILES.items():
        (app / name).write_text(text)
    # One worker on each server starts sooner, and no test here depends on the number of workers.
    settings = {"app": str(app), "domain": "rocket.test", "healthPath": "/healthz", "servers": 3, "workers": 1}
    with Stack.temporary("fleet", folder, settings) as stack:
        yield stack


def test_the_balancer_distributes_requests_over_all_servers(stack: Stack, url: str):
    assert answering_servers(url) == ALL_SERVERS


def test_workers_run_on_all_servers_but_the_release_phase_and_cron_only_on_the_first(stack: Stack, url: str):
    release = stack.outputs()["release"]
    assert_workers_and_timers(stack, release)
    migrations = [stack.ssh("sudo cat /var/lib/app/migrated", server=number, check=False) for number in range(3)]
    assert [result.stdout for result in migrations] == [f"{release}\n", "", ""]


def test_the_app_sees_the_clients_address_even_if_the_client_forges_x_forwarded_for(stack: Stack, url: str):
    outputs = stack.outputs()
    with socket.create_connection((outputs["balancer"]["address"], 80)) as connection:
        client_address = connection.getsockname()[0]
    command = ["curl", "-s", "-H", "Host: rocket.test", "-H", "X-Forwarded-For: 1.2.3.4", f"{url}visitor"]
    request = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert request == {"address": client_address, "url": "http://rocket.test/visitor"}


def test_a_server_accepts_http_from_the_balancer_only(stack: Stack, url: str):
    for server in stack.outputs()["servers"]:
        with pytest.raises(OSError):
            socket.create_connection((server["address"], 80), timeout=1).close()


def test_when_the_third_server_fails_all_roll_back_and_up_names_the_server_and_the_cause(
    stack: Stack, url: str, tmp_path: Path
):
    before = stack.outputs()["release"]
    break_app(stack, 2)
    stack.edit("Hello World!", "Hello Mars!")
    stdout = failing_up_under_load(stack, url, tmp_path, requests=500)
    assert "fleet-2-release" in stdout
    assert "fleet-1-release updated" in stdout
    assert served_releases(stack) == {before}
    assert_workers_and_timers(stack, before)
    assert pages(url) == {"Hello World!\n"}


def test_the_next_up_with_the_same_release_needs_no_repair(stack: Stack, url: str):
    mend_app(stack, 2)
    stack.up()
    assert pages(url) == {"Hello Mars!\n"}
    assert served_releases(stack) == {stack.outputs()["release"]}
    statuses = [status(stack, number) for number in range(3)]
    assert all(status["deployment"] == status["proven"] for status in statuses)
    assert [rollback_timer(stack, number) for number in range(3)] == ["", "", ""]
    assert stack.steps() == {}


def test_after_a_failure_the_previous_release_can_be_deployed_as_well(stack: Stack, url: str):
    break_app(stack, 2)
    stack.edit("Hello Mars!", "Hello Venus!")
    stack.failing_up()
    stack.edit("Hello Venus!", "Hello Mars!")
    mend_app(stack, 2)
    stack.up()
    assert pages(url) == {"Hello Mars!\n"}
    assert stack.steps() == {}


def test_when_up_is_killed_halfway_a_timer_rolls_the_servers_back(stack: Stack, url: str):
    stack.edit("Hello Mars!", "Hello Pluto!")
    kill_up_at_output(stack, "fleet-0-release updated")
    assert status(stack, 0)["release"] != status(stack, 2)["release"]
    assert rollback_timer(stack, 0)
    stack.ssh("sudo systemctl start gantry-revert.service")  # as the timer does
    stack.ssh("sudo gantry rollback", server=1)
    assert pages(url) == {"Hello Mars!\n"}
    assert not rollback_timer(stack, 0)
    stack.pulumi("cancel", "--yes")
    stack.up()
    assert pages(url) == {"Hello Pluto!\n"}


def test_clients_do_not_notice_a_dead_server_and_up_boots_it_again(stack: Stack, url: str, tmp_path: Path):
    dead_server = stack.outputs()["servers"][1]["instance_id"]
    with load(url, tmp_path, method="GET") as requests:
        kill_machine(dead_server)
        time.sleep(4)
        assert answering_servers(url) == {"fleet-0", "fleet-2"}
        assert stack.steps() == {"fleet-1": "update"}
        stack.up()
        wait_until_answering(url, ALL_SERVERS)
    assert (requests.failed, requests.requests > 500) == ({}, True)


def test_maintenance_answers_503_with_the_apps_page_but_health_checks_pass(stack: Stack, url: str):
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
        response = get(url, host="rocket.test", method=method)
        assert (response.status, response.text) == (503, "<h1>Back soon</h1>\n")
        assert response.headers["Retry-After"] == "300"
    assert [get(f"{url}healthz").status for _ in range(6)] == [200] * 6
    assert [get(f"{url}{path}").status for path in ("|/healthz", "x|/healthz", "x/healthz")] == [503] * 3
    stack.edit("Hello Pluto!", "Hello Ceres!")
    stack.up()  # a release is possible during maintenance
    assert get(url).status == 503
    stack.configure(maintenance=None)
    stack.up()
    assert pages(url) == {"Hello Ceres!\n"}
    assert stack.outputs()["release"] != release


def test_without_a_canary_all_servers_switch_at_once_and_roll_back_when_one_fails(
    stack: Stack, url: str, tmp_path: Path
):
    stack.configure(canary=False)
    stack.edit("Hello Ceres!", "Hello Moon!")
    stack.up()
    before = stack.outputs()["release"]
    assert pages(url) == {"Hello Moon!\n"}
    last_migration = stack.ssh("sudo tail -n 1 /var/lib/app/migrated").stdout
    assert last_migration == f"{before}\n"
    break_app(stack, 1)
    stack.edit("Hello Moon!", "Hello Sun!")
    failing_up_under_load(stack, url, tmp_path, requests=300)
    assert served_releases(stack) == {before}
    assert pages(url) == {"Hello Moon!\n"}
    mend_app(stack, 1)
    stack.up()
    assert pages(url) == {"Hello Sun!\n"}
    stack.configure(canary=None)
    stack.up()
    assert stack.steps() == {}


def test_no_request_fails_while_three_servers_become_one_and_three_again(stack: Stack, url: str, tmp_path: Path):
    with load(f"{url}echo", tmp_path) as requests:
        stack.configure(servers=1, balancer=True)
        stack.up()
        assert answering_servers(url) == {"fleet-0"}
        stack.configure(servers=3)
        stack.up()
        wait_until_answering(url, ALL_SERVERS)
    assert stack.outputs()["url"] == url
    assert (requests.failed, requests.requests > 500) == ({}, True)


def test_pages_and_their_static_files_are_found_on_all_servers_while_a_django_app_is_released(
    stack: Stack, url: str, tmp_path: Path
):
    write_django_app(tmp_path, "red")
    stack.configure(app=str(tmp_path / "shop"), env={"SECRET_KEY": "5f0c"}, watch=3)
    stack.up()
    with static_file_clients(url) as styles:
        for colour in ("blue", "red", "green"):
            write_django_app(tmp_path, colour)
            stack.up()
    statuses = {status for status, _ in styles}
    assert statuses == {200}, [text for status, text in styles if status != 200][:5]
    assert {text for _, text in styles} == {django_app.style(colour) for colour in ("red", "blue", "green")}


def write_django_app(folder: Path, colour: str) -> None:
    for name, text in django_app.app(colour).items():
        (folder / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "shop" / name).write_text(text)


@contextmanager
def static_file_clients(url: str) -> Iterator[list[tuple[int, str]]]:
    """Clients that get the page and then its stylesheet, perhaps from another server, while the block runs.

    The list has status and text of each stylesheet, or of a page that isn't found.
    """
    results: list[tuple[int, str]] = []
    stop = threading.Event()

    def visit() -> None:
        while not stop.wait(0.05):
            page = get(url)
            response = get(url.rstrip("/") + page.text) if page.status == 200 else page
            results.append((response.status, response.text))

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(results) > 100


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
