"""Releases that are killed, cut off or in each other's way, on a real server. The table: docs/reliability.md."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import launch
from tests.machine.server import Server, app, booted, later, same, tarball, visited

pytestmark = pytest.mark.machine

KILLS = 50
RACERS, ROUNDS = 8, 50


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path) -> Iterator[Server]:
    """One for all tests; each begins with a good release of its own."""
    with booted(ssh_key) as server:
        yield server


def test_fifty_kills_at_random_points_leave_the_site_serving_and_the_next_run_needs_no_repair(server: Server):
    server.serve("good")
    chance = random.Random(20)
    with visited(server) as visitors:
        for number in range(KILLS):
            # Every other one has packages to install: the comment makes the list another one.
            listed = {"requirements.txt": f"flask\n# {number}\n"} if number % 2 else {}
            digest = server.upload(tarball({**app(f"page {number}"), **listed}))
            # A release without a watch takes 0.6 s here; with one of 1 s the second half falls into that.
            process = server.start(digest, watch=1)
            time.sleep(chance.uniform(0.1, 1.9))
            server.kill_release()
            process.communicate(timeout=60)
            if number % 5 == 4:
                outcome = server.run(digest, watch=0)
                assert outcome.code == 0, outcome.said
                assert server.page() == f"page {number}"
                launch.wait_until(lambda: len(server.instances()) == 1, "the end of what was left over", 30)
    assert not visitors.failures, visitors.failures[:10]
    results = [entry["result"] for entry in server.status()["history"]]
    assert "interrupted" in results
    assert not server.ssh("sudo find /opt/gantry/releases /opt/gantry/venvs -maxdepth 1 -name '.*'")


def test_a_release_whose_watch_was_killed_is_watched_again_by_the_next_run(server: Server):
    server.serve("good")
    digest = server.upload(tarball(app("bad", later(6, "os._exit(3)"))))
    process = server.start(digest, watch=20)
    launch.wait_until(lambda: server.page() == "bad", "the switch", 20)
    server.kill_release()
    process.communicate(timeout=60)
    same(server, "good", server.run(digest, watch=20), "the previous release serves again")


def test_a_dropped_connection_leaves_a_release_that_ends_as_if_it_had_not_been(server: Server):
    server.serve("good")
    digest = server.upload(tarball(app("dropped", "time.sleep(3)")))
    with visited(server) as visitors:
        process = server.start(digest)
        time.sleep(1.5)
        # For 6 s no packet of SSH goes through; the client is ended, as a user would.
        cut = "add table inet cut; add chain inet cut in { type filter hook input priority -10; };"
        cut += " add rule inet cut in tcp dport 22 drop"
        server.ssh(f"sudo systemd-run --quiet sh -c \"nft '{cut}'; sleep 6; nft delete table inet cut\"")
        time.sleep(0.5)
        process.kill()
        process.communicate()
        launch.wait_until(lambda: server.page() == "dropped", "the release to go on by itself", 20)
        time.sleep(6)
        outcome = server.run(digest)
    assert outcome.code == 0, outcome.said
    assert "serving already" in outcome.said
    assert not visitors.failures


def test_of_racing_releases_one_wins_at_a_time_and_the_others_name_it_within_five_seconds(server: Server):
    server.serve("good")
    # No more releases than a server keeps, and none that is done before all have given up.
    digests = [server.upload(tarball(app(f"racer {number}", "time.sleep(0.4)"))) for number in range(4)]
    racers = [[*server.command(digests[number % 4]).split()[2:], "--wait", "0.2"] for number in range(RACERS)]
    script = Path(__file__).with_name("racers.py").read_bytes()
    server.local.send(server.spec, script, "cat > /tmp/racers.py")
    with visited(server, ("/",)) as visitors:
        given = json.dumps({"rounds": ROUNDS, "racers": racers}).encode()
        rounds = json.loads(server.local.send(server.spec, given, "sudo python3 -I /tmp/racers.py"))
    assert len(rounds) == ROUNDS
    for each in rounds:
        winners = [ending for ending in each["endings"] if ending["code"] == 0]
        assert len(winners) == 1, each
        winner = winners[0]
        assert each["serves"].startswith(winner["release"])
        named = f"being changed by a release of {winner['release']} (process {winner['process']})"
        losers = [ending for ending in each["endings"] if ending is not winner]
        assert len(losers) == RACERS - 1
        assert [ending for ending in losers if named not in ending["said"] or ending["seconds"] > 5] == []
    assert not visitors.failures
    assert sum(visitors.pages.values()) > ROUNDS


def test_who_comes_second_is_told_within_five_seconds(server: Server):
    first, second = (server.upload(tarball(app(page))) for page in ("first", "second"))
    process = server.start(first, watch=9)
    launch.wait_until(lambda: server.page() == "first", "the switch", 20)
    outcome = server.run(second)
    process.communicate(timeout=60)
    assert outcome.seconds < 6
    same(server, "first", outcome, f"being changed by a release of {first} (process")


def test_a_lock_is_free_when_its_holder_was_killed(server: Server):
    holder = server.start(server.upload(tarball(app("held"))), watch=60)
    launch.wait_until(lambda: server.page() == "held", "the switch", 20)
    server.kill_release()
    holder.communicate(timeout=60)
    began = time.monotonic()
    server.serve("free")
    assert time.monotonic() - began < 5
