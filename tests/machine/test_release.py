"""How a release goes on a real server, and what the server tells of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import launch
from tests.machine.server import HEALTHZ, Server, app, booted, same, tarball

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path) -> Iterator[Server]:
    """One for all tests; each begins with a good release of its own."""
    with booted(ssh_key) as server:
        yield server


def test_a_health_status_that_is_asked_for_is_the_only_one_that_counts(server: Server):
    server.serve("good")
    files = app("picky", health=HEALTHZ.replace('return "ok"', 'return "", 204'))
    same(server, "good", server.release(files, health_status=200, health_timeout=1), "answered 204, not 200")
    outcome = server.release(files, health_status=204)
    assert outcome.code == 0, outcome.said


def test_the_old_release_still_runs_while_the_new_one_is_watched_and_ends_after(server: Server):
    server.serve("good")
    process = server.start(server.upload(tarball(app("next"))), watch=4)
    launch.wait_until(lambda: server.page() == "next", "the switch", 20)
    assert len(server.instances()) == 2
    process.communicate(timeout=60)
    launch.wait_until(lambda: len(server.instances()) == 1, "the end of the old one", 20)


def test_a_release_that_is_gone_back_to_is_watched_for_two_seconds_and_still_taken_back_when_it_is_bad(server: Server):
    # Well until a file is there, which stands for a database that has moved on.
    health = HEALTHZ.replace(
        '"ok"', '("ok", 500 if os.path.exists("/var/lib/app/moved") and time.time() > began + 1.2 else 200)'
    )
    first, second = (server.upload(tarball(app(page, "began = time.time()", health))) for page in ("first", "second"))
    for digest in (first, second):
        outcome = server.run(digest, watch=6)
        assert outcome.code == 0, outcome.said
        assert outcome.seconds > 6
    outcome = server.run(first, watch=6)
    assert outcome.code == 0, outcome.said
    assert re.search(r"watch +2\.\d\d s", outcome.said), outcome.said
    server.ssh("sudo touch /var/lib/app/moved")
    same(server, "first", server.run(second, watch=6), "turned unhealthy after the switch")
    server.ssh("sudo rm /var/lib/app/moved")


def test_the_status_says_what_serves_since_when_what_is_kept_and_how_releases_ended(server: Server):
    digest = server.serve("good")
    found = server.status()
    assert (found["release"], found["active"]) == (digest, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["since"])
    assert digest in found["kept"]
    assert len(found["history"]) <= 10
    last = found["history"][-1]
    assert (last["release"], last["result"], last["by"]) == (digest, "serving", "deploy")
    assert {"unpack", "venv", "start", "check", "switch", "verify", "prune"} <= set(last["phases"])
    text = server.ssh("sudo gantry status")
    assert text.startswith(f"release {digest} is serving since {found['since']}\n")
    assert server.ssh("sudo stat -c %a /var/lib/gantry/history.jsonl") == "600"


def test_the_revision_that_was_asked_for_is_in_the_history(server: Server):
    digest = server.upload(tarball(app("named")))
    given = json.dumps({"variables": {}, "revision": "v2 at 1843abc"}).encode()
    server.local.send(server.spec, given, server.command(digest))
    assert "(v2 at 1843abc)" in server.ssh("sudo gantry status")
    assert server.status()["history"][-1]["revision"] == "v2 at 1843abc"
