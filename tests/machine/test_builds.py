"""Builds and linked paths on a real server. The tests run in this order."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import Any

import pytest

from components.server import commands
from tests.machine import django_app
from tests.machine.page_app import PageAppServer, ReleaseResult, tarball

pytestmark = pytest.mark.machine


class FirstServer(PageAppServer):
    """A server that runs the release phase."""

    def release_command(self, release: str, **changes: Any) -> str:
        return f"{super().release_command(release, **changes)} --first"


SERVER_CLASS = FirstServer
VARIABLES = {"SECRET_KEY": "planted-5f0c"}
RELEASE_PHASE = "release: sh -c 'python manage.py migrate --noinput; python manage.py collectstatic --noinput'\n"
FLASK = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
db = SQLAlchemy(app)


class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)


with app.app_context():
    db.create_all()


@app.get("/healthz")
def healthz():
    return "ok"


@app.get("/")
def page():
    return "items"


@app.get("/add")
def add():
    db.session.add(Item())
    db.session.commit()
    return str(Item.query.count())
"""


def release(server: PageAppServer, files: dict[str, str], **changes: Any) -> ReleaseResult:
    return server.release(files, variables=VARIABLES, **changes)


def test_the_static_files_of_a_django_app_are_collected_without_a_setting(server: PageAppServer):
    result = release(server, django_app.app("red"))
    assert result.exit_code == 0, result.output
    assert "static file" in next(line for line in result.output.splitlines() if line.startswith("build "))
    path = server.page()
    assert path.startswith("/static/shop/style.")
    assert server.get(path) == (200, django_app.style("red"))


def test_pages_of_the_release_before_and_of_the_next_one_find_their_static_files(server: PageAppServer):
    red = server.page()
    blue = server.upload(tarball(django_app.app("blue")))
    command = commands.prepare(blue, server.configuration, server.settings)
    server.send(commands.release_input(VARIABLES, release=blue, stack="test").encode(), command)
    # The name is the digest of the content. Another server may already send pages with it.
    new = f"/static/shop/style.{hashlib.md5(django_app.style('blue').encode()).hexdigest()[:12]}.css"
    assert (server.page(), server.get(new)) == (red, (200, django_app.style("blue")))
    assert server.run_release(blue, variables=VARIABLES).exit_code == 0
    assert server.page() == new
    assert server.get(red) == (200, django_app.style("red"))
    assert server.get(new.replace(".css", "0.css"))[0] == 404
    assert "<title>Not Found</title>" in server.get("/style.0123456789ab.css")[1], "the app's own page"


def test_a_variable_that_is_missing_is_named_with_the_command_that_sets_it(server: PageAppServer):
    before = server.page()
    result = server.release(django_app.app("blue"), variables={})
    server.assert_still_serves(
        before,
        result,
        "the build failed with exit status 1: python manage.py collectstatic --noinput",
        "The app needs the variable SECRET_KEY: pulumi config set --path env.SECRET_KEY",
        "pulumi config set --path env.DISABLE_COLLECTSTATIC 1",
    )


def test_the_release_phase_may_write_into_the_apps_folder_and_the_output_says_what_is_lost(server: PageAppServer):
    procfile = f"web: gunicorn shop.wsgi\n{RELEASE_PHASE}"
    result = release(server, django_app.app("red", Procfile=procfile))
    assert result.exit_code == 0, result.output
    assert re.search(r"the release phase wrote db\.sqlite3.* into its own copy of the app", result.output)
    assert server.ssh("ls /opt/gantry/release-phases") == ""
    assert server.get(server.page())[0] == 200


def test_a_linked_database_is_written_by_release_phase_and_app_and_stays_during_releases(server: PageAppServer):
    procfile = f"web: gunicorn shop.wsgi\n{RELEASE_PHASE}"
    for style, visits in (("red", "1"), ("blue", "2"), ("red", "3")):
        result = release(server, django_app.app(style, Procfile=procfile), linked_paths=("db.sqlite3",))
        assert result.exit_code == 0, result.output
        assert "wrote db.sqlite3" not in result.output
        assert server.get("/visits") == (200, visits)
    # The last one went back to a release that is kept.
    assert "unchanged" in next(line for line in result.output.splitlines() if line.startswith("build "))
    assert "shop" not in server.ssh("sudo ls /var/lib/app")


def test_a_build_runs_as_the_build_user_can_write_only_to_its_copy_and_leaves_no_process(server: PageAppServer):
    script = """
id --user --name > user
echo "$SECRET_KEY" > secret
cat /etc/gantry/environment/* > others 2>&1
touch ../../../releases/x /opt/gantry/venvs/x /var/lib/app/x 2>> others
for build in /opt/gantry/builds/*/app; do touch "$build/x" 2>> others; done
setsid sleep 1000 &
exit 0
"""
    procfile = "web: gunicorn shop.wsgi\nbuild: sh build.sh\n"
    result = release(server, django_app.app("red", Procfile=procfile, **{"build.sh": script}))
    app = server.ssh("readlink --canonicalize /var/lib/gantry/current/app").strip()
    assert server.ssh(f"cd {app} && cat user secret").split() == ["gantry-build", "planted-5f0c"], result.output
    refused = server.ssh(f"cat {app}/others")
    assert "/etc/gantry/environment/*" in refused
    for path in ("releases/x", "/opt/gantry/venvs/x", "/var/lib/app/x"):
        assert path in refused
    assert server.ssh("ls -d /opt/gantry/builds/*/app/x").split() == [f"{app}/x"]
    assert server.ssh("pgrep --euid gantry-build", check=False) == ""
    assert server.ssh(f"find {app} ! -user root -o -perm /022 ! -type l") == ""


def test_a_build_that_was_killed_with_its_release_is_made_again(server: PageAppServer):
    procfile = "web: gunicorn shop.wsgi\nbuild: sh -c 'touch begun; sleep 4; touch built'\n"
    kill = "until pgrep -f '^sleep 4'; do sleep 0.1; done; pkill -KILL -f '^/usr/bin/python3 -I .*pyz release'"
    server.ssh(f"sudo systemd-run --quiet --collect sh -c {shlex.quote(kill)}")
    files = django_app.app("green", Procfile=procfile)
    assert release(server, files).exit_code != 0
    result = release(server, files)
    assert "unchanged" not in next(line for line in result.output.splitlines() if line.startswith("build "))
    assert server.ssh("ls /var/lib/gantry/current/app/built")


def test_flasks_instance_folder_is_writable_without_a_setting_and_its_data_survive_a_rollback(server: PageAppServer):
    files = {"app.py": FLASK, "requirements.txt": "flask\nflask-sqlalchemy\n", "Procfile": "web: gunicorn app:app\n"}
    result = server.release(files)
    assert result.exit_code == 0, result.output
    assert server.get("/add") == (200, "1")
    assert server.release({**files, "other": ""}).exit_code == 0
    assert server.get("/add") == (200, "2")
    broken = server.release({**files, "app.py": FLASK + "raise RuntimeError('broken')\n"})
    server.assert_still_serves("items", broken, "Error: broken")
    assert server.get("/add") == (200, "3")
    assert server.ssh("sudo ls /var/lib/app/instance").split() == ["shop.db"]


def test_an_app_that_writes_into_its_folder_is_told_how_to_keep_the_file(server: PageAppServer):
    source = FLASK + "open('logs/visits.log', 'a')\n"
    files = {"app.py": source, "requirements.txt": "flask\nflask-sqlalchemy\n", "Procfile": "web: gunicorn app:app\n"}
    result = server.release({**files, "logs/.gitkeep": ""})
    server.assert_still_serves("items", result, "The app writes to logs/visits.log", "'linkedPaths[0]' logs (")
    result = server.release({**files, "logs/.gitkeep": ""}, linked_paths=("logs",))
    assert result.exit_code == 0, result.output
    assert "logs: copied from the release to /var/lib/app/logs" in result.output
    assert server.ssh("sudo ls /var/lib/app/logs").split() == ["visits.log"]
