"""Releases that are broken, slow or large, on a real server. Its clients notice nothing. See docs/reliability.md."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.machine.local_machines import LocalMachines
from tests.machine.page_app import HEALTHZ, PageAppServer, app, later
from tests.machine.visitors import NETWORK_OF_ONE, Visitor, people, visiting

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer

HUNG_HEALTHZ = HEALTHZ.replace("return", "time.sleep(600)\n    return")
START_TIME = "began = time.time()"
# Requests to /post fail, and those to /crash end their worker.
ERRORS = "@app.before_request\ndef check():\n    import flask\n    if flask.request.path == '/post': 1 / 0"
CRASHES = "@app.before_request\ndef crash():\n    import flask\n    if flask.request.path == '/crash': os._exit(1)"


# Before the switch: clients of the old release notice nothing.


def broken(**files: str) -> dict[str, str]:
    """The app with some other files, whose names have _ in place of the dot."""
    return {**app("broken"), **{name.replace("_", "."): text for name, text in files.items()}}


@pytest.mark.parametrize(
    ("files", "messages"),
    [
        pytest.param(broken(app_py="def:\n"), ["SyntaxError: invalid syntax"], id="a syntax error"),
        pytest.param(
            broken(app_py="import numpy\n"),
            ["ModuleNotFoundError: No module named 'numpy'"],
            id="a dependency that isn't listed",
        ),
        pytest.param(
            broken(requirements_txt=f"flask==3.1.2 --hash=sha256:{'0' * 64}\n"),
            ["requirements can't be installed"],
            id="a hash that doesn't match",
        ),
        pytest.param(
            broken(requirements_txt="--index-url https://127.0.0.1:1/simple\nflask==3.0.0\n"),
            ["requirements can't be installed", "127.0.0.1:1"],
            id="a registry that refuses connections",
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
            id="a health check that answers 500",
        ),
        pytest.param(
            app("broken", health=HUNG_HEALTHZ), ["GET /healthz answered nothing within"], id="a health check that hangs"
        ),
        pytest.param(app("broken", "os.environ['TOKEN']"), ["KeyError: 'TOKEN'"], id="a variable that isn't set"),
    ],
)
def test_a_release_that_cannot_serve_fails_with_its_cause_and_no_client_sees_it(
    server: PageAppServer, files: dict[str, str], messages: list[str]
):
    server.serve("good")
    with server.clients() as clients:
        result = server.release(files, health_timeout=2)
    server.assert_still_serves("good", result, *messages)
    assert not clients.failures
    assert set(clients.pages) == {"good"}
    assert len(server.deployments()) == 1
    entry = server.status()["history"][-1]
    assert (entry["result"], entry["source"]) == ("failed", server.ssh("echo $SSH_CONNECTION").split()[0])
    assert entry["reason"]


def test_an_app_that_is_slow_to_import_replaces_the_old_one_without_a_failed_request(server: PageAppServer):
    server.serve("good")
    with server.clients() as clients:
        result = server.release(app("slow to import", "time.sleep(3)"))
    assert result.exit_code == 0, result.output
    assert result.seconds > 3
    assert server.page() == "slow to import"
    assert not clients.failures


def test_an_app_of_a_hundred_megabytes_is_released(server: PageAppServer):
    server.serve("good")
    with server.clients() as clients:
        result = server.release(app("heavy"), ballast=100_000_000)
    assert result.exit_code == 0, result.output
    assert server.page() == "heavy"
    assert not clients.failures
    server.ssh("sudo sh -c 'rm -f /opt/gantry/incoming/*.tar'")


def test_requests_of_five_seconds_in_flight_are_answered_by_the_old_release(server: PageAppServer):
    server.serve("good")
    with server.clients(("/slow",) * 6) as clients:
        time.sleep(1)
        result = server.release(app("next"))
        time.sleep(1)
    assert result.exit_code == 0, result.output
    assert not clients.failures
    assert clients.pages["good"] >= 6


# After the switch: a release that becomes unhealthy during its watch is rolled back.


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(app("bad", later(5, "os._exit(3)")), "the app ended after the switch", id="it ends after 5 s"),
        pytest.param(
            app("bad", START_TIME, HEALTHZ.replace('"ok"', '("ok", 500 if time.time() > began + 3 else 200)')),
            "turned unhealthy after the switch: GET /healthz answered 500",
            id="its health check fails after 3 s",
        ),
    ],
)
def test_a_release_that_fails_during_its_watch_is_rolled_back_with_the_cause_and_its_last_log_lines(
    server: PageAppServer, files: dict[str, str], message: str
):
    server.serve("good")
    # Only an app that ends has its log in the error.
    log_line = "Booting worker" if "ended" in message else ""
    with server.clients() as clients:
        result = server.release(files, watch=10)
        server.assert_still_serves("good", result, message, "the previous release serves again", log_line)
        failures = len(clients.failures)
        time.sleep(2)
        assert len(clients.failures) == failures, "requests still fail after the rollback"
    assert clients.pages["bad"] > 0, "the release never served during its watch"
    assert len(server.deployments()) == 1
    assert server.status()["history"][-1]["result"] == "rolled back"


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        pytest.param(
            app("bad", ERRORS), "/post", "visitors got errors after the switch: ", id="a route that worked fails"
        ),
        pytest.param(
            app("bad", CRASHES), "/crash", "workers of the app crashed after the switch: ", id="a route ends its worker"
        ),
    ],
)
def test_errors_that_several_visitors_meet_roll_a_release_back(
    server: PageAppServer, files: dict[str, str], path: str, message: str
):
    server.serve("good")
    forget_requests(server)
    with visiting(server, [*people(5), *people(4, path, "POST")]) as visits:
        time.sleep(1)
        result = server.release(files, watch=10)
        server.assert_still_serves("good", result, message, "the previous release serves again")
    print(f"{sum(visits.failures)} of {sum(visits.requests)} failed in {result.seconds:.1f} s")
    assert server.status()["history"][-1]["result"] == "rolled back"
    assert "rollback" in server.status()["history"][-1]["phases"]


# Requests of one person, who wants that no release stays: all of them fail in the old release, too.
CRASH_LINE = "[1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?"
LOGS_AGENTS = "@app.before_request\ndef log():\n    import flask\n    app.logger.error(flask.request.user_agent)"


@pytest.mark.parametrize(
    ("extra", "attackers", "seen"),
    [
        pytest.param(
            LOGS_AGENTS,
            [Visitor(["127.0.0.66"], pause=0.05, agent=CRASH_LINE)],
            "requests failed with 5xx, 5 visitors",
            id="lines like Gunicorn's",
        ),
        pytest.param(
            ERRORS,
            [Visitor(NETWORK_OF_ONE, "/post", "POST", 0.01), Visitor(["127.0.0.66"], "/post?x=1", "HEAD", 0.01)],
            "requests failed with 5xx, 6 visitors",
            id="a page that always fails, over IPv6 and IPv4",
        ),
        pytest.param(
            CRASHES,
            [Visitor(NETWORK_OF_ONE, "/crash", "POST", 1), Visitor(NETWORK_OF_ONE, "/crash", pause=1.3, leaves=True)],
            "crashed workers",
            id="a page that ends its worker",
        ),
    ],
)
def test_one_visitor_cannot_roll_a_release_back(server: PageAppServer, extra: str, attackers: list[Visitor], seen: str):
    assert server.release(app("attacked before", extra)).exit_code == 0
    forget_requests(server)
    with visiting(server, [*people(4), *attackers]) as visits:
        time.sleep(1)
        result = server.release(app("attacked", extra), watch=6)
    assert result.exit_code == 0, result.output
    assert server.page() == "attacked"
    assert seen in result.output
    assert all(visits.answers[:5])
    print(f"{sum(visits.failures[:4])} of {sum(visits.requests[:4])} requests of others failed")


def test_a_release_that_fixes_a_failing_app_only_in_part_is_not_rolled_back(server: PageAppServer):
    result = server.release(app("failing", ERRORS))
    assert result.exit_code == 0, result.output
    forget_requests(server)
    with visiting(server, [*people(4, "/post", "POST"), *people(4)]):
        time.sleep(1)
        result = server.release(app("a little better", ERRORS), watch=4)
    assert result.exit_code == 0, result.output


def forget_requests(server: PageAppServer) -> None:
    """Empty the access log: the tests before have sent requests, too."""
    server.ssh("sudo truncate --size=0 /var/log/nginx/gantry.log")


def test_after_a_failed_first_release_the_server_answers_503_until_a_good_one(machines: LocalMachines, tmp_path: Path):
    server = PageAppServer.boot(machines, tmp_path)
    result = server.release(app("bad", later(1, "os._exit(3)")), watch=10)
    assert result.exit_code == 1
    assert "there is no earlier release to roll back to" in result.output
    status, _ = server.get()
    assert status == 503
    assert server.deployments() == []
    server.serve("good")
