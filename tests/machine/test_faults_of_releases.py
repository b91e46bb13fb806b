"""Releases that are killed, disconnected or concurrent, on a real server. See docs/reliability.md."""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path

import pytest

from tests.machine.page_app import PageAppServer, app, later, tarball

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer

# How often a release is killed, and how often eight releases run at once. The weekly workflow takes more:
# RELEASE_KILLS=50 ROUNDS=50 make test ARGS=tests/machine/test_faults_of_releases.py
KILLS = int(os.environ.get("RELEASE_KILLS", "10"))
CONCURRENT_RELEASES, ROUNDS = 8, int(os.environ.get("ROUNDS", "10"))


def test_kills_at_random_points_leave_the_site_serving_and_the_next_run_needs_no_repair(server: PageAppServer):
    server.serve("good")
    chance = random.Random(20)
    with server.clients() as clients:
        for number in range(KILLS):
            # Every second release installs packages: the comment makes its requirements different.
            requirements = {"requirements.txt": f"flask\n# {number}\n"} if number % 2 else {}
            release = server.upload(tarball({**app(f"page {number}"), **requirements}))
            # A release takes 0.6 s here without a watch. So a watch of 1 s begins in the middle of the random times.
            process = server.start_release(release, watch=1)
            time.sleep(chance.uniform(0.1, 1.9))
            server.kill_release()
            process.communicate(timeout=60)
            if number % 5 == 4:
                result = server.run_release(release)
                assert result.exit_code == 0, result.output
                assert server.page() == f"page {number}"
                server.wait_until_one_deployment_runs("the end of all other deployments", 30)
    assert not clients.failures, clients.failures[:10]
    results = [entry["result"] for entry in server.status()["history"]]
    assert "interrupted" in results
    assert not server.ssh("sudo find /opt/gantry/releases /opt/gantry/venvs -maxdepth 1 -name '.*'")


def test_a_release_whose_watch_was_killed_is_watched_again_by_the_next_run(server: PageAppServer):
    server.serve("good")
    release = server.upload(tarball(app("bad", later(6, "os._exit(3)"))))
    process = server.start_release(release, watch=20)
    server.wait_for_page("bad")
    server.kill_release()
    process.communicate(timeout=60)
    result = server.run_release(release, watch=20)
    server.assert_still_serves("good", result, "the previous release serves again")


def test_a_release_finishes_after_its_ssh_connection_is_dropped(server: PageAppServer):
    server.serve("good")
    release = server.upload(tarball(app("dropped", "time.sleep(3)")))
    with server.clients() as clients:
        process = server.start_release(release)
        time.sleep(1.5)
        # The server drops all SSH packets for 6 s. The SSH client is killed, as a user would do.
        rules = "add table inet cut; add chain inet cut in { type filter hook input priority -10; };"
        rules += " add rule inet cut in tcp dport 22 drop"
        server.ssh(f"sudo systemd-run --quiet sh -c \"nft '{rules}'; sleep 6; nft delete table inet cut\"")
        time.sleep(0.5)
        process.kill()
        process.communicate()
        server.wait_for_page("dropped", "the release to finish by itself")
        time.sleep(6)
        result = server.run_release(release)
    assert result.exit_code == 0, result.output
    assert "serving already" in result.output
    assert not clients.failures


def test_one_of_eight_concurrent_releases_wins_and_the_others_name_it_within_five_seconds(server: PageAppServer):
    server.serve("good")
    # A server keeps more than four releases. The sleep is longer than the wait for the lock, so that no release
    # can finish before all others have given up.
    releases = [server.upload(tarball(app(f"concurrent {number}", "time.sleep(0.4)"))) for number in range(4)]
    commands = [
        [*server.release_command(releases[number % 4], watch=0).split()[2:], "--wait", "0.2"]
        for number in range(CONCURRENT_RELEASES)
    ]
    script = Path(__file__).with_name("concurrent_releases.py").read_bytes()
    server.send(script, "cat > /tmp/concurrent_releases.py")
    with server.clients(("/",)) as clients:
        stdin = json.dumps({"rounds": ROUNDS, "commands": commands}).encode()
        rounds = json.loads(server.send(stdin, "sudo python3 -I /tmp/concurrent_releases.py"))
    assert len(rounds) == ROUNDS
    for entry in rounds:
        winners = [result for result in entry["results"] if result["exit_code"] == 0]
        assert len(winners) == 1, entry
        [winner] = winners
        assert entry["serves"].startswith(winner["release"])
        message = f"being changed by a release of {winner['release']} (process {winner['process']})"
        losers = [result for result in entry["results"] if result is not winner]
        assert len(losers) == CONCURRENT_RELEASES - 1
        assert [result for result in losers if message not in result["output"] or result["seconds"] > 5] == []
    assert not clients.failures
    assert sum(clients.pages.values()) > ROUNDS


def test_a_second_release_fails_within_five_seconds_and_names_the_first(server: PageAppServer):
    server.serve("good")
    first, second = (server.upload(tarball(app(page))) for page in ("first", "second"))
    process = server.start_release(first, watch=9)
    server.wait_for_page("first")
    result = server.run_release(second)
    process.communicate(timeout=60)
    lock = re.search(r"lock +(\d+\.\d\d) s  failed", result.output)
    assert lock and float(lock[1]) <= 5
    server.assert_still_serves("first", result, f"being changed by a release of {first} (process")


def test_the_lock_is_free_after_its_holder_is_killed(server: PageAppServer):
    server.serve("good")
    process = server.start_release(server.upload(tarball(app("held"))), watch=60)
    server.wait_for_page("held")
    server.kill_release()
    process.communicate(timeout=60)
    start = time.monotonic()
    server.serve("free")
    # Half of the watch during which the killed run would have held the lock.
    assert time.monotonic() - start < 30
