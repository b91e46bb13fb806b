from __future__ import annotations

from pathlib import Path

import pytest

from components.app import artifact, heroku_files
from components.app.heroku_files import HerokuFileError

GUNICORN = "web: gunicorn app:app\n"


def notes(procfile: str = GUNICORN, **files: str) -> list[str]:
    """The notes for an app with these files. In their names, _ stands for a dot."""
    contents = {name.replace("_", "."): text.encode() for name, text in files.items()}
    return list(heroku_files.notes({"Procfile": procfile.encode(), **contents}))


def test_a_profile_gets_the_line_that_runs_it():
    [note] = notes(_profile="export A=b\n")
    assert "'web: . ./.profile && gunicorn app:app'" in note
    assert notes("web: . ./.profile && gunicorn app:app\n", _profile="export A=b\n") == []


@pytest.mark.parametrize(
    ("procfile", "files", "line"),
    [
        (GUNICORN, ["bin/post_compile"], "add the line 'build: bin/post_compile' to the Procfile"),
        (
            GUNICORN,
            ["bin/post_compile", "bin/pre_compile", "manage.py"],
            "'build: bin/pre_compile && python manage.py collectstatic --noinput && bin/post_compile'",
        ),
        (
            f"{GUNICORN}build: make\n",
            ["bin/post_compile"],
            "change the line of the Procfile to 'build: make && bin/post",
        ),
    ],
)
def test_build_steps_of_heroku_get_the_build_line_to_write(procfile: str, files: list[str], line: str):
    contents = {"Procfile": procfile.encode(), **dict.fromkeys(files, b"")}
    [note] = heroku_files.notes(contents)
    assert line in note


def test_a_build_step_that_the_build_line_runs_is_no_fault():
    contents = {"Procfile": f"{GUNICORN}build: bin/post_compile\n".encode(), "bin/post_compile": b""}
    assert list(heroku_files.notes(contents)) == []


def test_all_steps_of_a_build_get_one_line():
    package = b'{"scripts": {"heroku-postbuild": "x"}}'
    files = {"package.json": package, "package-lock.json": b"{}", "bin/post_compile": b"", "manage.py": b""}
    [note] = heroku_files.notes({"Procfile": GUNICORN.encode(), **files})
    line = "npm ci && npm run heroku-postbuild && python manage.py collectstatic --noinput && bin/post_compile"
    assert f"add nodejs and npm to the Aptfile, one a line, and add the line 'build: {line}' to the Procfile" in note


@pytest.mark.parametrize(
    ("package", "app", "line"),
    [
        ('{"scripts": {"heroku-postbuild": "x"}}', "{}", "'build: npm install && npm run heroku-postbuild'"),
        ('{"scripts": {"build": "x"}}', '{"buildpacks": [{"url": "heroku/nodejs"}]}', "npm run build'"),
        ('{"scripts": {"build": "x"}}', '{"buildpacks": null}', ""),
        ('{"scripts": []}', "[]", ""),
        ("{", "{", ""),
    ],
)
def test_javascript_that_heroku_builds_gets_the_build_line_to_write(package: str, app: str, line: str):
    found = notes(package_json=package, app_json=app)
    assert [line in note for note in found] == [True] * bool(line)


def test_the_old_list_of_buildpacks_counts():
    contents = {"package.json": b'{"scripts": {"build": "x"}}', ".buildpacks": b"heroku/nodejs\n"}
    [note] = heroku_files.notes({"Procfile": GUNICORN.encode(), **contents})
    assert "'build: npm install && npm run build'" in note


def test_a_slugignore_without_effect_is_said_when_the_app_is_packed(app: Path):
    (app / ".slugignore").write_text("*.psd\n")
    assert artifact.contents(app)[1] == ["servers don't read .slugignore, and get the files that it names, too"]


MANIFEST = """
build: {docker: {web: Dockerfile}}
release: {image: web, command: [./manage.py migrate, ./manage.py seed]}
run:
  web: gunicorn shop.wsgi
  worker: {image: web, command: [celery -A shop worker]}
"""


def test_the_processes_of_heroku_yml_get_the_lines_of_a_procfile():
    with pytest.raises(HerokuFileError) as error:
        heroku_files.require_procfile({"heroku.yml": MANIFEST.encode()})
    for line in ("web: gunicorn shop.wsgi", "worker: celery -A shop worker", "release: ./manage.py migrate && ./man"):
        assert f"'{line}" in str(error.value)


@pytest.mark.parametrize("text", ["", "- a", "run: [", "run: {}", "run: text", "build: {docker: {web: Dockerfile}}"])
def test_a_heroku_yml_without_a_web_process_is_left_alone(text: str):
    heroku_files.require_procfile({"heroku.yml": text.encode()})
