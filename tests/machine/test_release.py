"""How a release proceeds on a real server, and what `gantry status` shows of it."""

from __future__ import annotations

import json
import re

import pytest

from tests.machine.page_app import HEALTHZ, PageAppServer, app, tarball

pytestmark = pytest.mark.machine
SERVER_CLASS = PageAppServer


def test_with_a_health_status_in_the_settings_only_that_status_is_healthy(server: PageAppServer):
    server.serve("good")
    files = app("picky", health=HEALTHZ.replace('return "ok"', 'return "", 204'))
    result = server.release(files, health_status=200, health_timeout=1)
    server.assert_still_serves("good", result, "answered 204, not 200")
    result = server.release(files, health_status=204)
    assert result.exit_code == 0, result.output


def test_the_old_release_runs_until_the_watch_of_the_new_one_is_over(server: PageAppServer):
    server.serve("good")
    process = server.start_release(server.upload(tarball(app("next"))), watch=4)
    server.wait_for_page("next")
    assert len(server.deployments()) == 2
    process.communicate(timeout=60)
    server.wait_until_one_deployment_runs("the end of the old one", 20)


def test_a_release_that_served_before_is_watched_for_two_seconds_and_still_rolled_back_when_unhealthy(
    server: PageAppServer,
):
    # The app is healthy until a file exists. The file stands for a database that has changed since.
    health = HEALTHZ.replace(
        '"ok"', '("ok", 500 if os.path.exists("/var/lib/app/moved") and time.time() > began + 1.2 else 200)'
    )
    first, second = (server.upload(tarball(app(page, "began = time.time()", health))) for page in ("first", "second"))
    for release in (first, second):
        result = server.run_release(release, watch=6)
        assert result.exit_code == 0, result.output
        assert result.seconds > 6
    result = server.run_release(first, watch=6)
    assert result.exit_code == 0, result.output
    assert re.search(r"watch +2\.\d\d s", result.output), result.output
    server.ssh("sudo touch /var/lib/app/moved")
    server.assert_still_serves("first", server.run_release(second, watch=6), "turned unhealthy after the switch")
    server.ssh("sudo rm /var/lib/app/moved")


def test_the_status_shows_the_serving_release_its_start_the_kept_releases_and_the_history(server: PageAppServer):
    release = server.serve("good")
    status = server.status()
    assert (status["release"], status["active"]) == (release, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["since"])
    assert release in status["kept"]
    assert len(status["history"]) <= 10
    entry = status["history"][-1]
    assert (entry["release"], entry["result"], entry["by"]) == (release, "serving", "deploy")
    assert {"unpack", "venv", "start", "check", "switch", "verify", "prune"} <= set(entry["phases"])
    text = server.ssh("sudo gantry status")
    assert text.startswith(f"release {release} is serving since {status['since']}\n")
    assert server.ssh("sudo stat -c %a /var/lib/gantry/history.jsonl") == "600"


def test_the_history_names_the_requested_revision(server: PageAppServer):
    release = server.upload(tarball(app("named")))
    stdin = json.dumps({"variables": {}, "revision": "v2 at 1843abc"}).encode()
    server.send(stdin, server.release_command(release, watch=0))
    assert "(v2 at 1843abc)" in server.ssh("sudo gantry status")
    assert server.status()["history"][-1]["revision"] == "v2 at 1843abc"
