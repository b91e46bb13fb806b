"""What can go wrong with a release, done to a real server; the site must serve on. The table: docs/reliability.md."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import launch
from tests.machine.conftest import Local
from tests.machine.server import HEALTHZ, Server, app, same, tarball, visited

pytestmark = pytest.mark.machine

KILLS = 50
RACERS, ROUNDS = 8, 5
HUNG = HEALTHZ.replace("return", "time.sleep(600)\n    return")


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path) -> Iterator[Server]:
    """One server for all; each test begins with a good release of its own."""
    local = Local(key=ssh_key, name=f"faults-{random.randrange(16**6):06x}")
    try:
        yield Server.boot(local)
    finally:
        local.destroy()


# Before the switch: the old release never notices.


def broken(**changed: str) -> dict[str, str]:
    return {**app("broken"), **changed}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param(broken(**{"app.py": "def:\n"}), ["SyntaxError: invalid syntax"], id="a syntax error"),
        pytest.param(
            broken(**{"app.py": "import numpy\n"}),
            ["ModuleNotFoundError: No module named 'numpy'"],
            id="a dependency that isn't listed",
        ),
        pytest.param(
            broken(**{"requirements.txt": f"flask==3.1.2 --hash=sha256:{'0' * 64}\n"}),
            ["requirements can't be installed"],
            id="a hash that doesn't match",
        ),
        pytest.param(
            broken(**{"requirements.txt": "--index-url https://127.0.0.1:1/simple\nflask==3.0.0\n"}),
            ["requirements can't be installed", "127.0.0.1:1"],
            id="a registry that refuses",
        ),
        pytest.param(
            broken(Procfile="web: gunicorn shop:app\n"), ["No module named 'shop'"], id="a module that isn't there"
        ),
        pytest.param(
            broken(Procfile="web: gunicorn app:shop\n"),
            ["Failed to find attribute 'shop'"],
            id="an app that isn't there",
        ),
        pytest.param(
            app("broken", health=HEALTHZ.replace('return "ok"', 'return "sick", 500')),
            ["GET /healthz answered 500, not 2xx or 3xx"],
            id="health that answers 500",
        ),
        pytest.param(app("broken", health=HUNG), ["GET /healthz answered nothing within"], id="health that hangs"),
        pytest.param(app("broken", "os.environ['TOKEN']"), ["KeyError: 'TOKEN'"], id="a variable that isn't set"),
    ],
)
def test_a_release_that_cannot_serve_fails_with_its_cause_and_no_visitor_sees_it(
    server: Server, files: dict[str, str], words: list[str]
):
    server.serve("good")
    with visited(server) as visitors:
        outcome = server.release(files, health_timeout=2)
    same(server, "good", outcome, *words)
    assert not visitors.failures
    assert set(visitors.pages) == {"good"}
    assert len(server.instances()) == 1
    last = server.status()["history"][-1]
    assert (last["result"], last["source"]) == ("failed", server.ssh("echo $SSH_CONNECTION").split()[0])
    assert last["reason"]


def test_an_app_that_is_slow_to_import_replaces_the_old_one_without_a_failed_request(server: Server):
    server.serve("good")
    with visited(server) as visitors:
        outcome = server.release(app("slow to import", "time.sleep(3)"))
    assert outcome.code == 0, outcome.said
    assert outcome.seconds > 3
    assert server.page() == "slow to import"
    assert not visitors.failures


def test_a_health_status_that_is_asked_for_is_the_only_one_that_counts(server: Server):
    server.serve("good")
    files = app("picky", health=HEALTHZ.replace('return "ok"', 'return "", 204'))
    same(server, "good", server.release(files, health_status=200, health_timeout=1), "answered 204, not 200")
    outcome = server.release(files, health_status=204)
    assert outcome.code == 0, outcome.said


# After the switch: what turns bad within the watch is taken back.


def later(seconds: float, what: str) -> str:
    return f"def late():\n    time.sleep({seconds})\n    {what}\nthreading.Thread(target=late, daemon=True).start()"


SICK = "began = time.time()"
ERRORS = "@app.before_request\ndef check():\n    import flask\n    if flask.request.path == '/post': 1 / 0"
CRASHES = "@app.before_request\ndef crash():\n    import flask\n    if flask.request.path == '/post': os._exit(1)"


@pytest.mark.parametrize(
    ("files", "word"),
    [
        pytest.param(app("bad", later(5, "os._exit(3)")), "the app ended after the switch", id="it ends after 5 s"),
        pytest.param(
            app("bad", SICK, HEALTHZ.replace('"ok"', '("ok", 500 if time.time() > began + 3 else 200)')),
            "turned unhealthy after the switch: GET /healthz answered 500",
            id="its health turns bad after 3 s",
        ),
        pytest.param(
            app("bad", ERRORS), "visitors got errors after the switch", id="every third visitor gets an error"
        ),
        pytest.param(
            app("bad", CRASHES), "workers of the app crashed after the switch", id="a request kills its worker"
        ),
    ],
)
def test_a_release_that_turns_bad_is_reverted_with_its_reason_and_the_apps_last_words(
    server: Server, files: dict[str, str], word: str
):
    server.serve("good")
    with visited(server) as visitors:
        outcome = server.release(files, watch=10)
        same(
            server, "good", outcome, word, "what served before serves again", "Booting worker" if "ends" in word else ""
        )
        shown = len(visitors.failures)
        time.sleep(2)
        assert len(visitors.failures) == shown, "failures after it was reverted"
    assert visitors.pages["bad"] > 0, "it was watched without having served"
    assert len(server.instances()) == 1
    assert server.status()["history"][-1]["result"] == "reverted"


def test_a_worker_that_is_killed_once_does_not_condemn_a_release(server: Server):
    server.serve("good")
    process = server.start(server.upload(tarball(app("watched"))), watch=6)
    launch.wait_until(lambda: server.page() == "watched", "the switch", 20)
    server.ssh(f"sudo kill -9 {workers(server)[0]}")
    said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, said
    assert server.page() == "watched"


def test_a_release_that_mends_an_app_which_fails_is_not_blamed_for_its_errors(server: Server):
    outcome = server.release(app("failing", ERRORS))
    assert outcome.code == 0, outcome.said
    # What the last minute's visitors got, of the tests before this one, would hide the errors.
    server.ssh("sudo truncate --size=0 /var/log/nginx/gantry.log")
    with visited(server):
        time.sleep(1)
        outcome = server.release(app("a little better", ERRORS), watch=4)
    assert outcome.code == 0, outcome.said


def test_the_old_release_still_runs_while_the_new_one_is_watched_and_ends_after(server: Server):
    server.serve("good")
    process = server.start(server.upload(tarball(app("next"))), watch=4)
    launch.wait_until(lambda: server.page() == "next", "the switch", 20)
    assert len(server.instances()) == 2
    process.communicate(timeout=60)
    launch.wait_until(lambda: len(server.instances()) == 1, "the end of the old one", 20)


def workers(server: Server) -> list[str]:
    """The process ids of the serving release's workers; the master comes first among the unit's, and isn't one."""
    master = main_process(server)
    return server.ssh(f"pgrep -P {master}").split()


def main_process(server: Server) -> str:
    instance = server.status()["instance"]
    return server.ssh(f"systemctl show --value --property=MainPID gantry-web@{instance}")


# Runs that are cut short.


def test_fifty_kills_at_random_points_leave_the_site_serving_and_the_next_run_needs_no_repair(server: Server):
    server.serve("good")
    chance = random.Random(20)
    with visited(server) as visitors:
        for number in range(KILLS):
            digest = server.upload(tarball(app(f"page {number}")))
            # A release without a watch takes 0.6 s here; with one of 1 s the second half falls into that.
            process = server.start(digest, watch=1)
            time.sleep(chance.uniform(0.1, 1.9))
            server.ssh("sudo pkill -9 -f '[h]ost.pyz release'", check=False)
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
    server.ssh("sudo pkill -9 -f '[h]ost.pyz release'", check=False)
    process.communicate(timeout=60)
    same(server, "good", server.run(digest, watch=20), "what served before serves again")


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
    digests = [server.upload(tarball(app(f"racer {number}", "time.sleep(1)"))) for number in range(RACERS)]
    with visited(server, ("/",)) as visitors:
        for number in range(ROUNDS):
            # Other variables each time: one that serves already would be done at once.
            processes = {digest: server.start(digest, 9, {"ROUND": str(number)}) for digest in digests}
            said = {digest: each.communicate(timeout=60)[0].decode() for digest, each in processes.items()}
            winners = [digest for digest, each in processes.items() if each.returncode == 0]
            assert len(winners) == 1, said
            for digest in set(digests) - set(winners):
                assert f"being changed by a release of {winners[0]} (process" in said[digest], said[digest]
            assert server.status()["release"] == winners[0]
    assert not visitors.failures


def test_who_comes_second_is_told_within_five_seconds(server: Server):
    first, second = (server.upload(tarball(app(page))) for page in ("first", "second"))
    process = server.start(first, watch=9)
    launch.wait_until(lambda: server.page() == "first", "the switch", 20)
    outcome = server.run(second)
    process.communicate(timeout=60)
    assert outcome.seconds < 6
    same(server, "first", outcome, f"being changed by a release of {first} (process")


def test_a_reboot_during_a_watch_comes_back_with_what_served_before(server: Server):
    server.serve("good")
    digest = server.upload(tarball(app("unproven")))
    process = server.start(digest, watch=60)
    launch.wait_until(lambda: server.page() == "unproven", "the switch", 20)
    reboot(server)
    process.kill()
    process.communicate()
    assert server.page() == "good"
    outcome = server.run(digest)
    assert outcome.code == 0, outcome.said
    assert server.page() == "unproven"


def reboot(server: Server) -> None:
    boot = "systemctl show --value -p UserspaceTimestampMonotonic"
    before = server.ssh(boot)
    server.ssh("sudo systemctl reboot", check=False)
    launch.wait_until(lambda: server.ssh(boot, check=False) not in ("", before), "the reboot", 60)
    launch.wait_until(lambda: answers(server), "the site", 60)


def answers(server: Server) -> bool:
    try:
        return server.get(timeout=2)[0] == 200
    except OSError:
        return False


# Processes that die or hang between releases.


def test_a_worker_that_is_killed_is_replaced_at_once(server: Server):
    server.serve("good")
    with visited(server) as visitors:
        time.sleep(0.5)
        server.ssh(f"sudo kill -9 {workers(server)[0]}")
        time.sleep(3)
    assert visitors.requests > 100
    assert len(visitors.failures) <= 2, "more than the requests that it had in hand"
    assert len(workers(server)) == 2


def test_a_master_that_is_killed_is_started_again_within_seconds(server: Server):
    server.serve("good")
    server.ssh(f"sudo kill -9 {main_process(server)}")
    began = time.monotonic()
    launch.wait_until(lambda: answers(server), "the site", 20)
    assert time.monotonic() - began < 5
    assert server.page() == "good"


def test_a_hung_worker_hinders_neither_the_site_nor_a_release(server: Server):
    server.serve("good")
    server.ssh(f"sudo kill -STOP {workers(server)[0]}")
    began = time.monotonic()
    outcome = server.release(app("next"))
    assert outcome.code == 0, outcome.said
    assert server.page() == "next"
    # systemd ends what doesn't end by itself: TimeoutStopSec.
    launch.wait_until(lambda: len(server.instances()) == 1, "the end of the hung one", 60)
    assert time.monotonic() - began < 60


def test_requests_of_five_seconds_in_flight_are_answered_by_the_old_release(server: Server):
    server.serve("good")
    with visited(server, ("/slow",) * 6) as visitors:
        time.sleep(1)
        outcome = server.release(app("next"))
        time.sleep(1)
    assert outcome.code == 0, outcome.said
    assert not visitors.failures
    assert visitors.pages["good"] >= 6


# A disk without room.


@pytest.fixture
def small_disk(server: Server) -> Iterator[None]:
    """The releases on a file system of 60 MB and 300 files."""
    server.serve("good")
    folder = "/opt/gantry/releases"
    copy = "sudo cp -a"
    server.ssh(f"{copy} {folder} /root-copy && sudo mount -t tmpfs -o size=60m,nr_inodes=400,mode=755 none {folder}")
    server.ssh(f"{copy} /root-copy/. {folder} && sudo rm -r /root-copy")
    yield
    server.ssh(f"sudo umount --lazy {folder}")


def test_a_disk_without_room_refuses_a_release_with_the_size_that_it_needs(server: Server, small_disk: None):
    listed = "sudo find /opt/gantry -path /opt/gantry/incoming -prune -o -print"
    before = server.ssh(listed)
    with visited(server) as visitors:
        outcome = server.release(app("big"), big=40_000_000)
    needed = re.search(r"needs (\d+) MB and \d+ files, and /opt/gantry/releases has (\d+) MB", outcome.said)
    assert needed and int(needed[1]) >= 80 > int(needed[2]), outcome.said
    same(server, "good", outcome, "nothing was changed")
    assert not visitors.failures
    assert server.ssh(listed) == before


def test_a_disk_without_free_inodes_refuses_a_release(server: Server, small_disk: None):
    server.ssh("sudo sh -c 'cd /opt/gantry/releases/*/ && seq 300 | xargs touch'")
    with visited(server) as visitors:
        outcome = server.release(app("small"))
    same(server, "good", outcome, "no room for release", "nothing was changed")
    assert not visitors.failures


def test_an_app_of_a_hundred_megabytes_is_released(server: Server):
    server.serve("good")
    with visited(server) as visitors:
        outcome = server.release(app("heavy"), big=100_000_000)
    assert outcome.code == 0, outcome.said
    assert server.page() == "heavy"
    assert not visitors.failures
    server.ssh("sudo sh -c 'rm -f /opt/gantry/incoming/*.tar'")


# What the server tells.


def test_the_status_says_what_serves_since_when_what_is_kept_and_how_releases_ended(server: Server):
    digest = server.serve("good")
    found = server.status()
    assert (found["release"], found["active"]) == (digest, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["since"])
    assert digest in found["kept"]
    assert len(found["history"]) <= 10
    last = found["history"][-1]
    assert (last["release"], last["result"], last["by"]) == (digest, "serving", "deploy")
    assert {"unpack", "environment", "start", "check", "switch", "verify", "prune"} <= set(last["phases"])
    text = server.ssh("sudo gantry status")
    assert text.startswith(f"release {digest} is serving since {found['since']}\n")
    assert server.ssh("sudo stat -c %a /var/lib/gantry/history.jsonl") == "600"


def test_the_operator_and_the_revision_can_be_named(server: Server):
    digest = server.upload(tarball(app("named")))
    command = f"{server.command(digest)} --by 'Ada Lovelace' --revision 1843abc"
    server.local.send(server.spec, json.dumps({"variables": {}}).encode(), command)
    assert "1843abc" in server.ssh("sudo gantry status")
    last = server.status()["history"][-1]
    assert (last["by"], last["revision"]) == ("Ada Lovelace", "1843abc")


def test_a_first_release_that_turns_bad_leaves_the_server_waiting_for_a_good_one(local: Local):
    server = Server.boot(local)
    outcome = server.release(app("bad", later(1, "os._exit(3)")), watch=10)
    assert outcome.code == 1
    assert "there is no earlier release to go back to" in outcome.said
    status, _ = server.get()
    assert status == 503
    assert server.instances() == []
    server.serve("good")


def test_a_lock_is_free_when_its_holder_was_killed(server: Server):
    holder = server.start(server.upload(tarball(app("held"))), watch=60)
    launch.wait_until(lambda: server.page() == "held", "the switch", 20)
    server.ssh("sudo pkill -9 -f '[h]ost.pyz release'", check=False)
    holder.communicate(timeout=60)
    began = time.monotonic()
    server.serve("free")
    assert time.monotonic() - began < 5


def test_an_unreachable_registry_fails_a_release_that_needs_it_and_no_other(server: Server):
    server.serve("good")
    cut = "add table inet cut; add chain inet cut out { type filter hook output priority -10; };"
    cut += " add rule inet cut out ct state new ip daddr != 127.0.0.0/8 reject"
    server.ssh(f"sudo nft '{cut}'")
    try:
        needy = {**app("needy"), "requirements.txt": "flask\nitsdangerous==2.1.2\n"}
        same(server, "good", server.release(needy), "the requirements can't be installed")
        server.serve("content")
    finally:
        server.ssh("sudo nft delete table inet cut")
