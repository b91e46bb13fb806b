"""Three servers behind a balancer: releases, failures, scaling and maintenance. The tests run in this order."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import faults
from bench.faults import Machines, Planned
from components.local import launch
from tests.kills import kill_machine, kill_up_at_output
from tests.load import load
from tests.machine import django_app, maintenance_requests, raw_streams, refused_requests
from tests.machine.fleet import (
    ALL_SERVERS,
    BROKEN,
    answering_servers,
    answers,
    assert_workers_and_timers,
    boot,
    break_app,
    check,
    failing_up_under_load,
    hour_in,
    make_up_with_page,
    mend_app,
    pages,
    rollback_timer,
    served_releases,
    status,
    updates,
    wait_until_answering,
)
from tests.stack import Stack, copy_example_app, get, output
from tools.setup import site_check

pytestmark = pytest.mark.machine

APP = f"""

import os
import socket

if os.path.exists("{BROKEN}"):
    raise RuntimeError("this server is out of luck")


@app.route("/who")
def who():
    return socket.gethostname()
{raw_streams.ROUTES}"""
FILES = {
    "Procfile": "web: gunicorn rocket:app\nworker: sleep 1d\nrelease: sh -c 'echo $RELEASE >> /var/lib/app/migrated'\n",
    "app.json": json.dumps({"cron": [{"schedule": "0 3 * * *", "command": "true"}]}),
}
# The faults of `make bench ARGS=chaos` that end by themselves, each once. The network is away for 3 s only.
CHAOS = [
    Planned(kind=dataclasses.replace(kind, seconds=min(kind.seconds, 3)), pause=1, number=number)
    for number, kind in enumerate((*faults.PROCESSES, faults.BALANCERS_NGINX, faults.NO_NETWORK))
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("fleet")
    app = copy_example_app(folder)
    (app / "rocket.py").write_text((app / "rocket.py").read_text() + APP)
    for name, text in FILES.items():
        (app / name).write_text(text)
    # One worker on each server starts sooner, and no test here depends on the number of workers.
    settings = {"app": str(app), "healthPath": "/healthz", "servers": 3, "workers": 1}
    settings["updateWindow"] = f"{hour_in(11)}:00-{hour_in(13)}:00"
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


def test_websockets_and_events_pass_the_balancer_at_once(stack: Stack, url: str):
    raw_streams.assert_streams_pass(stack.outputs()["balancer"]["address"], host="rocket.test")


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
    assert (requests.failed, requests.requests > 500) == ({}, True), requests


def test_clients_do_not_notice_that_a_server_reboots_for_an_update(stack: Stack, url: str, tmp_path: Path):
    programs_without_updates = """
rm -r /etc/apt/sources.list.d
printf '#!/bin/sh\n' | tee /usr/local/bin/unattended-upgrade > /usr/local/bin/needrestart
chmod +x /usr/local/bin/unattended-upgrade /usr/local/bin/needrestart
echo linux-image-amd64 > /run/reboot-required.pkgs
touch /run/reboot-required
"""
    stack.ssh(f"sudo sh -c {shlex.quote(programs_without_updates)}", server=1)
    assert "a reboot is pending (linux-image-amd64): in the next slot" in updates(stack, 1)
    with load(f"{url}echo", tmp_path) as requests:
        before = boot(stack, 1)
        # The local target's balancer makes no health checks that could fail.
        stack.ssh("sudo gantry update --now --settle 0", server=1, check=False)
        launch.wait_until(lambda: boot(stack, 1) not in ("", before), "the reboot", 40)
        wait_until_answering(url, ALL_SERVERS)
    print(f"a reboot: {sum(requests.failed.values())} of {requests.requests} requests failed; {updates(stack, 1)}")
    assert (requests.failed, requests.requests > 500) == ({}, True)
    assert re.search("rebooted 20.*; next 20", updates(stack, 1))
    assert [check(stack, server) for server in ("balancer", 0, 1, 2)] == [site_check.Verdict([], [])] * 4


def test_each_machine_of_the_stack_has_a_time_of_its_own_for_updates(stack: Stack, url: str):
    calendar = "systemctl show --value --property=TimersCalendar gantry-updates.timer"
    timers = [stack.ssh(calendar, server=server).stdout for server in (0, 1, 2, "balancer")]
    times = [re.findall(r"OnCalendar=\S+ \d\d:(\S+) UTC", timer) for timer in timers]
    assert times == [["00:00"], ["15:00"], ["30:00"], ["45:00"]]


def test_the_balancers_nginx_and_firewall_come_back_after_a_kill_and_a_flush(stack: Stack, url: str, tmp_path: Path):
    with load(url, tmp_path, method="GET") as requests:
        kill = "sudo kill -9 $(systemctl show --value --property=MainPID nginx) $(pgrep -x nginx)"
        stack.ssh(kill, server="balancer")
        start = time.monotonic()
        launch.wait_until(lambda: answers(url), "the balancer's Nginx", 20)
        print(f"the balancer's Nginx: answered after {time.monotonic() - start:.2f} s")
        stack.ssh("sudo nft flush ruleset", server="balancer")
        # Without the rules, Nginx's addresses lead nowhere.
        launch.wait_until(lambda: check(stack, "balancer").broken == [], "the balancer's rules", 20)
        launch.wait_until(lambda: answers(url), "the site", 20)
    print(f"the balancer's Nginx and rules: {sum(requests.failed.values())} of {requests.requests} requests failed")
    assert [check(stack, server) for server in ("balancer", 0, 1, 2)] == [site_check.Verdict([], [])] * 4
    wait_until_answering(url, ALL_SERVERS)


def test_check_on_the_balancer_names_the_server_that_does_not_answer(stack: Stack, url: str):
    stack.ssh("sudo systemctl stop nginx", server=1)
    address = stack.outputs()["servers"][1]["address"]
    assert any(f"servers: {address} answered nothing" in line for line in check(stack, "balancer").broken)
    assert check(stack, 1) == site_check.Verdict(["Nginx: nginx.service is inactive"], [])
    assert check(stack, "balancer").broken == []


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
    address = stack.outputs()["balancer"]["address"]
    for expected in (400, 413, 414, 431):
        page = refused_requests.answer(address, refused_requests.refused(address)[expected])
        assert (page.status, page.title[:4]) == (expected, f"{expected} ")
    maintenance_requests.assert_only_the_health_path_passes(address)
    stack.edit("Hello Pluto!", "Hello Ceres!")
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
    assert (requests.failed, requests.requests > 500) == ({}, True), requests


def test_after_faults_during_releases_make_up_succeeds_and_all_servers_serve_the_last_release(
    stack: Stack, url: str, tmp_path: Path
):
    numbers, machines = itertools.count(1), Machines.of(stack.outputs())
    with load(url, tmp_path, method="GET") as requests, faults.striking(CHAOS, machines) as struck:
        results = [make_up_with_page(stack, next(numbers))]
        while not struck.done():
            results.append(make_up_with_page(stack, next(numbers)))
    failed = sum(requests.failed.values())
    succeeded = sum(result.returncode == 0 for result in results)
    print(f"{failed} of {requests.requests} requests failed; {succeeded} of {len(results)} releases succeeded")
    assert {fault.kind for fault in struck.result()} == {planned.kind.name for planned in CHAOS}
    for machine in (machines.servers[1], machines.balancer):
        kill_machine(machine.id)
    result = make_up_with_page(stack, last := next(numbers))
    assert result.returncode == 0, output(result)
    assert pages(url) == {f"Hello {last}!\n"}
    assert served_releases(stack) == {stack.outputs()["release"]}
    assert [check(stack, server) for server in ("balancer", 0, 1, 2)] == [site_check.Verdict([], [])] * 4
    wait_until_answering(url, ALL_SERVERS)


def test_pages_and_their_static_files_are_found_on_all_servers_while_a_django_app_is_released(
    stack: Stack, url: str, tmp_path: Path
):
    write_django_app(tmp_path, "red")
    stack.configure(app=str(tmp_path / "shop"), env={"SECRET_KEY": "5f0c"}, watch=3)
    stack.up()
    with static_file_clients(url) as styles:
        for colour in ("blue", "red"):
            write_django_app(tmp_path, colour)
            stack.up()
    statuses = {status for status, _ in styles}
    assert statuses == {200}, [text for status, text in styles if status != 200][:5]
    assert {text for _, text in styles} == {django_app.style(colour) for colour in ("red", "blue")}


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
