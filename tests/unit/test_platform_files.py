"""Start commands in the files of other platforms: the lines of a Procfile to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app import artifact
from components.app.discovery import DiscoveryError
from components.app.platform_files import build_notes, notes, remedy
from tests.packed_app import packed

WEB = "gunicorn app:app"
RENDER = """
services:
  - {type: web, name: site, runtime: static, startCommand: x}
  - type: web
    name: shop
    runtime: python
    rootDir: backend
    startCommand: gunicorn shop.wsgi --bind 0.0.0.0:10000
    preDeployCommand: python manage.py migrate
  - {type: worker, name: jobs, env: python, startCommand: celery -A shop worker}
  - {type: web, name: other, startCommand: gunicorn other}
"""
FLY = """
app = "shop"
[deploy]
release_command = "python manage.py migrate"
[processes]
app = "uvicorn shop:app --host 0.0.0.0 --port 8080"
"my worker" = "celery -A shop worker"
[http_service]
internal_port = 8080
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "render.yaml",
            RENDER,
            "'web: cd backend && gunicorn shop.wsgi --bind 0.0.0.0:$PORT', 'release: cd backend && python manage.py"
            " migrate', 'worker: celery -A shop worker'",
        ),
        (
            "fly.toml",
            FLY,
            "'web: uvicorn shop:app --host 0.0.0.0 --port $PORT', 'my-worker: celery -A shop worker',"
            " 'release: python manage.py migrate'",
        ),
        ("fly.toml", '[deploy]\nrelease_command = "flask db upgrade"', f"'web: {WEB}', 'release: flask db upgrade'"),
        ("fly.toml", '[experimental]\ncmd = ["gunicorn", "a:b"]', "'web: gunicorn a:b'"),
        ("railway.json", '{"deploy": {"startCommand": "gunicorn a:b"}}', "the line 'web: gunicorn a:b'"),
        (
            "railway.toml",
            '[deploy]\nstartCommand = "gunicorn a:b"\npreDeployCommand = ["./a.sh", "./b.sh"]',
            "'web: gunicorn a:b', 'release: ./a.sh && ./b.sh'",
        ),
        ("nixpacks.toml", '[start]\ncmd = "gunicorn a:b"', "'web: gunicorn a:b'"),
    ],
)
def test_the_commands_of_another_platform_get_the_lines_of_a_procfile(name: str, text: str, lines: str):
    [note] = notes({name: text.encode()}, WEB)
    assert note.startswith(f"servers don't read {name}: ")
    assert note.endswith(f" {lines}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("render.yaml", "services: [{type: web, runtime: node, startCommand: npm start}]"),
        ("render.yaml", "services: 7"),
        ("render.yaml", "services: ["),
        ("fly.toml", 'app = "shop"'),
        ("fly.toml", "processes = 7\nservices = [1]"),
        ("fly.toml", "="),
        ("railway.json", "[]"),
        ("railway.json", "[" * 5000),
        ("nixpacks.toml", "start = 1"),
        ("nixpacks.toml", "\0"),
    ],
)
def test_a_file_without_commands_is_left_alone(name: str, text: str):
    contents = {name: text.encode()}
    assert list(notes(contents, WEB)) == []
    assert remedy(contents) == ""


def test_a_file_with_the_command_that_gantry_has_found_says_nothing_new():
    contents = {"render.yaml": f"services: [{{type: web, startCommand: {WEB}}}]".encode()}
    assert list(notes(contents, WEB)) == []
    assert remedy(contents) == f"servers don't read render.yaml: add a Procfile with the line 'web: {WEB}'"


def test_packing_says_it_once_for_each_file_unless_the_app_has_a_procfile(app: Path):
    (app / "fly.toml").write_text(FLY)
    (app / "nixpacks.toml").write_text('[start]\ncmd = "gunicorn a:b"')
    assert artifact.contents(app).notes == []
    (app / "Procfile").unlink()
    (app / "wsgi.py").write_text("from hello import app\n")
    assert [note.split(":")[0] for note in artifact.contents(app).notes] == [
        "servers don't read fly.toml",
        "servers don't read nixpacks.toml",
    ]


def test_without_a_web_command_the_remedy_has_the_other_lines():
    contents = {"fly.toml": b'[deploy]\nrelease_command = "flask db upgrade"', "nixpacks.toml": b""}
    assert (
        remedy(contents)
        == "servers don't read fly.toml: add to the Procfile, too, the line 'release: flask db upgrade'"
    )
    contents["nixpacks.toml"] = b'[start]\ncmd = "gunicorn a:b"'
    assert remedy(contents) == "servers don't read nixpacks.toml: add a Procfile with the line 'web: gunicorn a:b'"


def test_an_app_that_is_not_found_gets_the_lines_too(app: Path):
    (app / "Procfile").unlink()
    (app / "hello.py").unlink()
    (app / "railway.toml").write_text('[deploy]\nstartCommand = "python serve.py"\n')
    with pytest.raises(
        DiscoveryError, match=r"don't read railway\.toml: add a Procfile with the line 'web: python serve\.py'"
    ):
        packed(app)


BUILD_SCRIPT = """#!/usr/bin/env bash
set -o errexit
# packages
pip install -r requirements.txt
npm run build
python manage.py collectstatic --no-input
python manage.py migrate
"""


def render(command: str) -> str:
    return f"services:\n  - {{type: web, runtime: python, buildCommand: {command}}}\n"


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (
            {"render.yaml": render("./build.sh"), "build.sh": BUILD_SCRIPT},
            "add 'release: python manage.py migrate' and 'build: npm run build' to the Procfile",
        ),
        (
            {"render.yaml": render("pip install -r requirements.txt && flask db upgrade")},
            "add 'release: flask db upgrade' to the Procfile",
        ),
        (
            {"railway.toml": '[build]\nbuildCommand = "pip install -r a.txt && python make.py"'},
            "add 'build: python make.py' to the Procfile",
        ),
        (
            {"nixpacks.toml": '[phases.setup]\naptPkgs = ["...", "ffmpeg"]\n[phases.build]\ncmds = ["./make"]'},
            "add 'build: ./make' to the Procfile, and add ffmpeg to the Aptfile",
        ),
    ],
)
def test_the_build_of_another_platform_gets_the_lines_to_write(files: dict[str, str], advice: str):
    contents = {name: text.encode() for name, text in files.items()}
    [note] = build_notes({**contents, "Procfile": f"web: {WEB}".encode()})
    assert note.endswith(f"as {next(iter(files))} says: {advice}")


@pytest.mark.parametrize(
    "command",
    [
        "pip install -r requirements.txt",
        "pip install --upgrade pip && pip install -r requirements.txt",
        "uv sync --frozen && uv cache prune --ci",
        "poetry install --no-root",
        "python manage.py collectstatic --noinput",
        "./missing.sh",
        "test -f a || python b.py",
        "npm run build",
    ],
)
def test_a_build_that_servers_do_themselves_gets_no_note(command: str):
    procfile = f"web: {WEB}\nbuild: npm ci && npm run build\nrelease: true".encode()
    assert list(build_notes({"Procfile": procfile, "render.yaml": render(command).encode()})) == []


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        (
            {"app.yaml": "runtime: python312\nentrypoint: gunicorn -b :8080 shop:site\n"},
            "don't read app.yaml: add a Procfile with the line 'web: gunicorn -b :$PORT shop:site'",
        ),
        ({"app.yaml": "kind: Deployment\nentrypoint: x\n"}, ""),
        (
            {
                ".do/app.yaml": "services: [{run_command: gunicorn a:b, http_port: 8000}]\n"
                "workers: [{name: jobs, run_command: python w.py}]\n"
                "jobs: [{kind: PRE_DEPLOY, run_command: flask db upgrade}, {kind: POST_DEPLOY, run_command: x}]\n"
            },
            "the lines 'web: gunicorn a:b', 'worker: python w.py', 'release: flask db upgrade'",
        ),
        (
            {".do/deploy.template.yaml": "spec: {services: [{run_command: 'waitress-serve --port 8080 a:b'}]}\n"},
            "'web: waitress-serve --port $PORT a:b'",
        ),
        (
            {
                "Dockerfile": "FROM python:3.12\nCMD python old.py\nEXPOSE 9000\n"
                'CMD ["gunicorn", "-b", "0.0.0.0:9000", "a:b"]\n'
            },
            "don't read Dockerfile: add a Procfile with the line 'web: gunicorn -b 0.0.0.0:$PORT a:b'",
        ),
        (
            {
                "Dockerfile": "FROM node AS a\nCMD x\nFROM python\n"
                'ENTRYPOINT ["./start.sh"]\n# CMD y\nCMD uvicorn \\\n  a:b\n'
            },
            "'web: ./start.sh uvicorn a:b'",
        ),
        ({"Dockerfile": 'FROM python\nCMD ["sh", "-c", "gunicorn a:b -b :$PORT"]\n'}, "'web: gunicorn a:b -b :$PORT'"),
        ({"Dockerfile": "FROM python\nCMD [\n"}, ""),
        ({"Dockerfile": "FROM python\n"}, ""),
    ],
)
def test_commands_of_more_platforms_and_of_containers_get_lines_of_a_procfile(files: dict[str, str], lines: str):
    found = remedy({name: text.encode() for name, text in files.items()})
    assert lines in found
    assert bool(found) == bool(lines)


def test_a_dockerfile_beside_an_app_that_is_found_gets_no_note():
    assert list(notes({"Dockerfile": b"FROM python\nCMD gunicorn -w 4 app:app\n"}, WEB)) == []


@pytest.mark.parametrize("name", ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"])
def test_the_workers_of_containers_get_lines_of_a_procfile(name: str):
    text = """
services:
  web: {command: python manage.py runserver 0.0.0.0:8000}
  jobs: {command: [celery, -A, shop, worker]}
  "the clock": {command: celery -A shop beat}
  queue: {image: valkey, command: valkey-server --save 60 1}
"""
    [note] = notes({name: text.encode()}, WEB)
    lines = f"'web: {WEB}', 'jobs: celery -A shop worker', 'the-clock: celery -A shop beat'"
    assert note == f"servers don't read {name}: if they should run its commands, add a Procfile with the lines {lines}"
    assert list(notes({name: b"services: {web: {command: x}, db: {}, 7: [a]}"}, WEB)) == []
