"""Releases that are bad, slow or big, on a real server: visitors go on being served. The table: docs/reliability.md."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.conftest import Local
from tests.machine.server import HEALTHZ, Server, app, booted, later, same, visited, waiting

pytestmark = pytest.mark.machine

HUNG = HEALTHZ.replace("return", "time.sleep(600)\n    return")
SICK = "began = time.time()"
ERRORS = "@app.before_request\ndef check():\n    import flask\n    if flask.request.path == '/post': 1 / 0"
CRASHES = "@app.before_request\ndef crash():\n    import flask\n    if flask.request.path == '/post': os._exit(1)"


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path) -> Iterator[Server]:
    """One for all tests; each begins with a good release of its own."""
    with booted(ssh_key) as server:
        yield server


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


def test_an_app_of_a_hundred_megabytes_is_released(server: Server):
    server.serve("good")
    with visited(server) as visitors:
        outcome = server.release(app("heavy"), big=100_000_000)
    assert outcome.code == 0, outcome.said
    assert server.page() == "heavy"
    assert not visitors.failures
    server.ssh("sudo sh -c 'rm -f /opt/gantry/incoming/*.tar'")


def test_requests_of_five_seconds_in_flight_are_answered_by_the_old_release(server: Server):
    server.serve("good")
    with visited(server, ("/slow",) * 6) as visitors:
        time.sleep(1)
        outcome = server.release(app("next"))
        time.sleep(1)
    assert outcome.code == 0, outcome.said
    assert not visitors.failures
    assert visitors.pages["good"] >= 6


# After the switch: what turns bad within the watch is taken back.


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
            server,
            "good",
            outcome,
            word,
            "the previous release serves again",
            "Booting worker" if "ended" in word else "",
        )
        shown = len(visitors.failures)
        time.sleep(2)
        assert len(visitors.failures) == shown, "failures after it was reverted"
    assert visitors.pages["bad"] > 0, "it was watched without having served"
    assert len(server.instances()) == 1
    assert server.status()["history"][-1]["result"] == "rolled back"


def test_a_release_that_mends_an_app_which_fails_is_not_blamed_for_its_errors(server: Server):
    outcome = server.release(app("failing", ERRORS))
    assert outcome.code == 0, outcome.said
    # What the last minute's visitors got, of the tests before this one, would hide the errors.
    server.ssh("sudo truncate --size=0 /var/log/nginx/gantry.log")
    with visited(server):
        time.sleep(1)
        outcome = server.release(app("a little better", ERRORS), watch=4)
    assert outcome.code == 0, outcome.said


def test_a_first_release_that_turns_bad_leaves_the_server_waiting_for_a_good_one(local: Local):
    server = waiting(local)
    outcome = server.release(app("bad", later(1, "os._exit(3)")), watch=10)
    assert outcome.code == 1
    assert "there is no earlier release to go back to" in outcome.said
    status, _ = server.get()
    assert status == 503
    assert server.instances() == []
    server.serve("good")
