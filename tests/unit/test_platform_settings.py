"""Variables, numbers of processes and paths of health checks in files of other platforms, and the commands to run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.app.configured import Configured
from components.app.platform_settings import notes
from components.app.source import Source
from tests.stack_settings import make_settings

PROCFILE = "web: gunicorn app:app\nworker: python w.py\nbeat: python b.py\n"


def found(configured: Configured | None = None, /, **files: object) -> list[str]:
    """The notes for an app with these files. In their names _ stands for a dot, and a table is JSON."""
    contents = {
        name.replace("_", "."): (content if isinstance(content, str) else json.dumps(content)).encode()
        for name, content in files.items()
    }
    return list(notes({"Procfile": PROCFILE.encode(), **contents}, configured or Configured()))


FORMATION = {"formation": {"web": {"quantity": 2}, "worker": {"quantity": 3}, "beat": {"quantity": 1}}}


def test_the_numbers_of_processes_in_app_json_get_the_commands_that_set_them():
    [note] = found(app_json=FORMATION)
    assert "servers don't read the numbers of processes in app.json (web 2, worker 3)" in note
    assert "run: pulumi config set servers 2 and pulumi config set --path processes.worker 3 (" in note
    assert "the setting workers says" in note


@pytest.mark.parametrize(
    "formation",
    [
        {"web": {"quantity": 1, "size": "standard-1x"}, "worker": {"quantity": 1}},
        {"web": {}, "worker": 7, "beat": {"quantity": "many"}},
        # No server has this process, or more than one of it.
        {"mailer": {"quantity": 2}, "release": {"quantity": 2}, "beat": {"quantity": 2}},
        [{"process": "web", "quantity": 2}],
    ],
)
def test_numbers_that_are_those_of_servers_anyway_are_not_said(formation: object):
    assert found(app_json={"formation": formation}) == []


def test_names_and_numbers_that_no_setting_can_have_are_not_said():
    env = {"A; rm -rf /": "b", "9": "c", "": "d", "PORT": "1", "PATH": "/bin"}
    assert found(app_json={"env": env, "formation": {"web": {"quantity": 1000}, "worker": {"quantity": -1}}}) == []
    [note] = found(app_json={"addons": ["heroku-redis:\x1b[1m"]})
    assert "\x1b" not in note


def test_only_numbers_that_the_settings_lack_are_said():
    [note] = found(Configured(servers=3), app_json=FORMATION)
    assert "servers 2" not in note
    assert "(worker 3)" in note
    assert found(Configured(servers=3, processes={"worker": 1}), app_json=FORMATION) == []
    [note] = found(app_json={"formation": {"worker": {"quantity": 0}}})
    assert note.endswith("run: pulumi config set --path processes.worker 0")
    [note] = found(Configured(singletons=()), app_json={"formation": {"beat": {"quantity": 2}}})
    assert "processes.beat 2" in note


ENV = {
    "env": {
        "SHOP_KIND": "a bookshop",
        "SECRET_KEY": {"generator": "secret"},
        "API_TOKEN": {"description": "of the bank", "value": "abc"},
        "SITE": {"description": "its name"},
        "COLOR": {"required": False},
        "SIZE": {"required": False, "value": "7"},
        "PORT": "5000",
        "PYTHONUNBUFFERED": "1",
    }
}


def test_the_variables_of_app_json_get_a_command_for_a_plain_and_for_a_secret_one():
    [note] = found(app_json=ENV)
    assert note == (
        "servers set no variables of app.json (SHOP_KIND, SIZE, SITE, API_TOKEN, SECRET_KEY): set the variables that"
        " the app needs, for example with: pulumi config set --path env.SHOP_KIND 'a bookshop' and pulumi config set"
        " --secret --path env.API_TOKEN <value>"
    )


def test_only_variables_that_the_settings_lack_are_said():
    names = ("SHOP_KIND", "SECRET_KEY", "API_TOKEN", "SIZE")
    [note] = found(Configured(env=names), app_json=ENV)
    assert note.endswith(
        "(SITE): set the variables that the app needs, for example with: pulumi config set --path env.SITE <value>"
    )
    assert found(Configured(env=(*names, "SITE")), app_json=ENV) == []
    assert found(app_json={"env": 7, "addons": 7, "formation": 7, "healthchecks": {"web": 7}}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BANK", "https://user:word@bank.example.org"),
        ("LICENSE", "0123456789abcdef0123456789abcdef"),
        ("MAIL_PASSWORD", "word"),
        ("GREETING", "two\nlines with word"),
    ],
)
def test_values_that_may_be_secret_or_are_no_line_are_never_shown(name: str, value: str):
    [note] = found(app_json={"env": {name: {"value": value}}})
    assert note.endswith(f"env.{name} <value>")
    assert "word" not in note
    assert "0123" not in note


def test_add_ons_get_the_variables_that_they_set():
    addons = ["heroku-postgresql:mini", {"plan": "heroku-redis", "as": "cache"}, "papertrail", 7, {"plan": 7}]
    [note] = found(app_json={"addons": addons})
    assert (
        "servers have no add-ons such as heroku-postgresql:mini (CACHE_URL, DATABASE_URL): set the variables that"
        in note
    )
    assert "pulumi config set --secret --path env.CACHE_URL <value>" in note
    [note] = found(app_json={"addons": addons, "env": {"SITE": "shop"}})
    assert "have no add-ons such as heroku-postgresql:mini and set no variables of app.json" in note
    assert found(Configured(env=("DATABASE_URL", "CACHE_URL")), app_json={"addons": addons}) == []
    [note] = found(app_json={"addons": ["scheduler:standard"]})
    assert note == "servers have no add-on scheduler as app.json says: write its jobs into `cron` of app.json"


RENDER = """
services:
  - {type: web, runtime: static, healthCheckPath: /static}
  - type: web
    runtime: python
    healthCheckPath: /health
    numInstances: 3
    envVars:
      - {key: PYTHON_VERSION, value: 3.11.4}
      - {key: WEB_CONCURRENCY, value: 4}
      - {key: DATABASE_URL, fromDatabase: {name: shop}}
      - {fromGroup: shared}
  - {type: worker, name: jobs, numInstances: 2}
"""
FLY = """
[env]
PORT = "8080"
SHOP_KIND = "books"
[http_service]
internal_port = 8080
[[http_service.checks]]
path = "/up"
"""


def test_what_render_yaml_sets_is_said():
    variables, numbers, health, python = found(render_yaml=RENDER)
    assert "servers 3 and pulumi config set --path processes.worker 2" in numbers
    assert "DATABASE_URL): set the variables" in variables
    assert "for example with: pulumi config set --path env.WEB_CONCURRENCY 4" in variables
    assert health.endswith("and not for /health as render.yaml says: set it with: pulumi config set healthPath /health")
    assert python == "servers don't read PYTHON_VERSION of render.yaml: write 3.11.4 into a file .python-version"


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({"fly_toml": FLY}, "/up as fly.toml says"),
        ({"fly_toml": '[checks.alive]\npath = "/alive"\n'}, "/alive as fly.toml says"),
        ({"railway_json": {"deploy": {"healthcheckPath": "/ready"}}}, "/ready as railway.json says"),
        ({"railway_toml": '[deploy]\nhealthcheckPath = "/ready"\n'}, "/ready as railway.toml says"),
        ({"app_json": {"healthchecks": {"web": [{"type": "startup", "path": "/live"}]}}}, "/live as app.json says"),
        ({"CHECKS": "WAIT=5\n# pages\n/about  the team\n"}, "/about as CHECKS says"),
        ({"CHECKS": "/\n", "app_json": {"healthchecks": {"web": [{"path": "no path"}]}}}, ""),
    ],
)
def test_the_path_of_health_checks_gets_the_setting_health_path(files: dict[str, object], path: str):
    about = [note for note in found(**files) if "health checks" in note]
    assert len(about) == bool(path)
    assert all(path in note for note in about)
    assert [note for note in found(Configured(health_path="/x"), **files) if "health checks" in note] == []


def test_the_variables_of_fly_toml_and_heroku_yml_are_said_once_for_both():
    setup = "setup: {config: {SHOP_KIND: toys, FLAG: true}, addons: [{plan: heroku-redis}]}\n"
    [note] = [note for note in found(fly_toml=FLY, heroku_yml=setup) if "variables" in note]
    assert "set no variables of heroku.yml and fly.toml" in note
    assert "(FLAG, SHOP_KIND, REDIS_URL)" in note
    assert "8080" not in note


def test_the_variables_of_flaskenv_are_said_with_values_for_visitors():
    text = "FLASK_APP=hello\nFLASK_RUN_PORT=8000\nFLASK_ENV=development\nFLASK_DEBUG=1\n"
    # Without them, Flask serves as for visitors.
    assert found(_flaskenv=text) == []
    reading = "import os\nkind = os.environ['FLASK_ENV']\ndebug = os.environ['FLASK_DEBUG']\n"
    [note] = found(_flaskenv=text, app_py=reading)
    assert note.startswith("servers set no variables of .flaskenv (FLASK_DEBUG, FLASK_ENV): set the")
    assert note.endswith("pulumi config set --path env.FLASK_DEBUG 0")
    [note] = found(_flaskenv=text + "SHOP_KIND=books\nSHOP_TOKEN=word\n")
    assert "env.SHOP_KIND books and pulumi config set --secret --path env.SHOP_TOKEN <value>" in note
    assert "word" not in note
    assert found(_flaskenv="FLASK_APP=hello\n") == []
    assert found(_flaskenv=text, app_py="load_dotenv('.flaskenv')\n") == []


@pytest.mark.parametrize(
    "file", ["app_json", "render_yaml", "fly_toml", "heroku_yml", "railway_json", "CHECKS", "_flaskenv"]
)
@pytest.mark.parametrize("text", ["", "[", "[[[", "- a\n- 7\n", '{"env": [7], "services": [7], "deploy": [7]}', "\0"])
def test_files_that_hold_something_else_are_left_alone(file: str, text: str):
    assert found(**{file: text}) == []


def test_the_variables_of_app_engine_and_digital_ocean_are_said():
    engine = "runtime: python312\nenv_variables: {SHOP_KIND: books}\nreadiness_check: {path: /ready}\n"
    variables, health = found(app_yaml=engine)
    assert variables.endswith("pulumi config set --path env.SHOP_KIND books")
    assert "/ready as app.yaml says" in health
    assert found(app_yaml="kind: Deployment\nenv_variables: {A: b}\n") == []
    spec = "{envs: [{key: SITE, value: shop}], services: [{instance_count: 2, envs: [{key: BANK_KEY, type: SECRET}]}]}"
    variables, numbers = found(**{"_do/app_yaml": spec})
    assert "(SITE, BANK_KEY)" in variables
    assert numbers.startswith("servers don't read the numbers of processes in .do/app.yaml (web 2)")


def test_only_variables_of_a_dockerfile_that_the_apps_modules_name_are_said():
    text = """FROM python AS build
ENV SHOP_KIND=toys
FROM python
ENV SHOP_KIND=books SHOP_COLOR="dark red" \\
    PYTHONUNBUFFERED=1
ENV SHOP_SIZE 7
ENV SHOP_PLACE=$HOME/shop
"""
    source = "SHOP_KIND, SHOP_SIZE, SHOP_PLACE"
    [note] = found(Dockerfile=text, app_py=source)
    assert "set no variables of Dockerfile (SHOP_KIND, SHOP_SIZE): set" in note
    assert note.endswith("env.SHOP_KIND books")
    assert found(Dockerfile=text) == []


def test_the_settings_of_the_stack_silence_the_notes_about_them(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (app / "app.json").write_text(json.dumps({**FORMATION, "env": {"SITE": "shop"}, "addons": ["heroku-redis"]}))
    (app / "Procfile").write_text("web: gunicorn hello:app\nworker: sleep infinity\n")
    printed = list[str]()
    monkeypatch.setattr("pulumi.log.warn", printed.append)
    Source.of(make_settings(app=app)).pack(tmp_path / "first")
    assert [note.split()[1] for note in printed] == ["have", "don't"]
    printed.clear()
    env = {"SITE": "", "REDIS_URL": ""}
    Source.of(make_settings(app=app, env=env, servers=2, processes={"worker": 3})).pack(tmp_path / "second")
    assert printed == []
