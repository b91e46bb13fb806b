"""Daemons that die, mistakes by hand and security updates, under load. See docs/reliability.md."""

from __future__ import annotations

import http.client
import re
import subprocess
import time

import pytest

from tests.machine import security_updates
from tests.machine.broken_layers import REPAIRABLE, broken_layers, repair
from tests.machine.page_app import PageAppServer, app

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer


@pytest.mark.parametrize("victims", ["master", "workers", "all"])
def test_a_killed_nginx_is_back_at_once(server: PageAppServer, victims: str):
    server.serve("good")
    main = server.ssh("systemctl show --value --property=MainPID nginx")
    processes = {"master": main, "workers": f"$(pgrep -P {main})", "all": f"{main} $(pgrep -P {main})"}[victims]
    with server.clients() as clients:
        time.sleep(0.5)
        # A worker with an earlier configuration may end by itself meanwhile, so the exit status says nothing.
        killed = server.ssh(f"processes=$(echo {processes}); echo $processes; sudo kill -9 $processes", check=False)
        start = time.monotonic()
        server.wait_until_responding(20)
        print(f"nginx {victims}: answered after {time.monotonic() - start:.2f} s")
        time.sleep(1)
    assert clients.requests > 50
    assert clients.pages["good"] > len(clients.failures), clients.failures
    assert re.fullmatch(r"\d+( \d+)*", killed)
    assert not server.ssh(f"ps -o pid= {killed}", check=False)
    assert server.ssh("systemctl is-active nginx") == "active"


# More often than systemd's default limit of five starts.
KILL_SEVEN_TIMES = """
main_process() { systemctl show --value --property=MainPID UNIT; }
for _ in 1 2 3 4 5 6 7; do
    killed=$(main_process)
    kill -9 "$killed" || exit 1
    for _ in $(seq 200); do
        now=$(main_process)
        [ "$now" = 0 ] || [ "$now" = "$killed" ] || continue 2
        sleep 0.1
    done
    exit 1
done
"""


@pytest.mark.parametrize("unit", ["ssh", "gantry-firewall", "systemd-journald"])
def test_a_killed_daemon_is_started_again_without_a_failed_request(server: PageAppServer, unit: str):
    server.serve("good")
    with server.clients() as clients:
        server.script(KILL_SEVEN_TIMES.replace("UNIT", unit))
        server.ssh("true")
    assert clients.requests
    assert not clients.failures


@pytest.mark.parametrize(
    "change",
    [
        "flush ruleset",
        # With no rule and the policy drop, not even this login gets its answer.
        "flush chain inet filter input",
        "insert rule inet filter input tcp dport 80 drop",
        "delete table inet ports",
    ],
)
def test_changed_rules_of_the_firewall_are_restored(server: PageAppServer, change: str):
    server.serve("good")
    compare = "/usr/local/lib/gantry/firewall compare"
    with server.clients() as clients:
        time.sleep(0.5)
        milliseconds = server.script(
            f"{compare} && start=$(date +%s%3N) && nft '{change}' || exit 1\n"
            f"for _ in $(seq 200); do {compare} && break; sleep 0.1; done\n"
            f"{compare} && echo $(($(date +%s%3N) - start))"
        )
        print(f"nft {change}: restored within {milliseconds.strip()} ms")
        server.wait_until_responding(20)
    assert clients.pages["good"]
    assert not clients.failures


@pytest.mark.parametrize(("command", "layer", "text"), REPAIRABLE, ids=[command for command, _, _ in REPAIRABLE])
def test_check_names_the_broken_layer_and_repairs_it(server: PageAppServer, command: str, layer: str, text: str):
    server.serve("good")
    name = server.deployment()
    server.ssh(f"sudo {command.format(name)}")
    start = time.monotonic()
    [(found, problem), *_] = broken_layers(server)
    print(f"{command}: {found}: {problem} ({time.monotonic() - start:.2f} s with the login)")
    assert found == layer
    assert text.format(name) in problem
    verdict = repair(server)
    assert verdict.broken == []
    assert any(line.startswith(f"{layer}: ") for line in verdict.repaired), verdict
    assert server.page() == "good"
    assert broken_layers(server) == []


def test_what_is_not_gantrys_is_named_with_the_remedy_and_left_alone(server: PageAppServer):
    server.serve("good")
    server.ssh("sudo sh -c 'echo \"wrong;\" > /etc/nginx/conf.d/mine.conf && systemctl stop nginx'")
    [problem] = repair(server).broken
    assert "Nginx: its configuration is wrong" in problem
    assert "/etc/nginx/conf.d/mine.conf:1" in problem
    server.ssh("sudo rm /etc/nginx/conf.d/mine.conf")
    server.ssh("sudo systemd-run --quiet --unit=other python3 -m http.server 80")
    server.wait_until(server.accepts_connections, "another web server", 20)
    [problem] = repair(server).broken
    assert re.search(r"python3 \(process \d+ of other.service\) listens on port 80", problem)
    assert "remedy: sudo systemctl disable --now other.service" in problem
    release = server.release(app("next"))
    assert release.exit_code == 1
    assert "Nginx doesn't serve this site: python3 (process" in release.output
    assert "This isn't the app's fault" in release.output
    server.ssh("sudo systemctl stop other")
    # A release starts an Nginx that was only stopped.
    assert server.release(app("next")).exit_code == 0
    assert server.page() == "next"


def test_check_answers_soon_although_the_app_hangs(server: PageAppServer):
    server.serve("good")
    for process in server.gunicorn_workers():
        server.ssh(f"sudo kill -STOP {process}")
    try:
        [(layer, problem)] = broken_layers(server)
        print(server.ssh("sudo bash -c 'time gantry check' 2>&1", check=False))
    finally:
        server.ssh(f"sudo pkill -CONT -P {server.gunicorn_master()}")
    assert layer == "health check"
    assert "GET /healthz answered nothing within 0.4 s" in problem


# Security updates.


def test_a_security_update_restarts_nginx_the_app_and_daemons_while_it_serves(server: PageAppServer):
    server.serve("good")
    security_updates.offer(server, "libssl3t64")
    nginx = "systemctl show --value --property=MainPID nginx"
    before = {server.ssh(nginx), server.gunicorn_master()}
    with server.clients() as clients:
        time.sleep(0.5)
        update = subprocess.Popen(server.ssh_command("sudo gantry update --now"), stdout=subprocess.PIPE, text=True)
        server.wait_until(lambda: "its security updates" in server.ssh("sudo cat /var/lib/gantry/lock"), "the lock", 20)
        refused = server.release(app("next"))
        output = update.communicate(timeout=120)[0]
        time.sleep(0.5)
    print(output)
    assert update.returncode == 0
    assert re.search("packages .* libssl3t64\n", output)
    assert refused.exit_code == 1 and "this server is being changed by its security updates" in refused.output
    assert not before & {server.ssh(nginx), server.gunicorn_master()}
    assert server.ssh("sudo gantry check | grep updates").startswith("updates       ok        updated 20")
    assert clients.pages.total() == clients.pages["good"] > 100
    assert not clients.failures
    server.wait_until_one_deployment_runs("the end of the stand-in", 20)
    assert broken_layers(server) == []


def test_an_update_that_is_killed_before_nginx_is_replaced_keeps_static_files_of_another_release(
    server: PageAppServer,
):
    server.serve("good")
    name, rows = "page-0123456789ab.css", list[tuple[int, str | None, str]]()
    server.script(f"mkdir -p /opt/gantry/assets && echo text > /opt/gantry/assets/{name}")
    for prepare in ("touch /run/gantry-last-responses", "gantry update --now >/dev/null || true"):
        server.script(prepare)
        for path in (f"/static/{name}", "/static/missing-0123456789ab.css", "/"):
            connection = http.client.HTTPConnection(server.spec.address, timeout=10)
            connection.request("GET", path)
            answer = connection.getresponse()
            rows.append((answer.status, answer.getheader("Connection"), answer.read().decode()[:5].strip()))
            connection.close()
    assert [row[::2] for row in rows] == [(200, "text"), (404, "<!doc"), (200, "good")] * 2
    assert [row[1] for row in rows] == ["close"] * 3 + ["keep-alive"] * 3


def test_a_changed_site_loses_no_request_on_kept_connections(server: PageAppServer):
    server.serve("good")
    try:
        with server.clients() as clients:
            for rate in (1000, 2000):
                server.change_settings(requests_per_second=rate)
                server.configure()
            time.sleep(0.5)
    finally:
        server.change_settings(requests_per_second=None)
        server.configure()
    assert clients.pages["good"] > 100
    assert not clients.failures
    assert not server.ssh("ls /run/gantry-last-responses", check=False)


def test_a_reboot_that_a_single_server_needs_is_left_to_its_owner_and_named(server: PageAppServer):
    server.serve("good")
    server.script("touch /run/reboot-required && echo linux-image-amd64 > /run/reboot-required.pkgs")
    pending = "a reboot is pending (linux-image-amd64): run `sudo reboot`"
    try:
        assert pending in server.ssh("sudo gantry check")
        assert pending in server.ssh("sudo gantry status")
    finally:
        server.script("rm /run/reboot-required*")
