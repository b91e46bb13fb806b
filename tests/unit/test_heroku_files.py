"""Files that Heroku reads and servers don't: the lines to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app import artifact, heroku_files
from components.app.heroku_files import HerokuFileError

GUNICORN = "web: gunicorn app:app\n"
DJANGO = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
POSTBUILD = '{"scripts": {"heroku-postbuild": "x"}}'
BUILD = '{"scripts": {"build": "x"}}'


def write(folder: Path, files: dict[str, str]) -> dict[str, bytes]:
    """Write an app's files, those in bin/ executable; returns their contents."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755 if name.startswith("bin/") else 0o644)
    return {name: text.encode() for name, text in files.items()}


def notes(folder: Path, procfile: str = GUNICORN, **files: str) -> list[str]:
    """The notes for an app with these files."""
    return list(heroku_files.notes(folder, write(folder, {"Procfile": procfile, **files})))


def test_a_profile_gets_the_line_that_runs_it(tmp_path: Path):
    [note] = notes(tmp_path, **{".profile": "export A=b\n"})
    assert "'web: . ./.profile; gunicorn app:app'" in note
    assert notes(tmp_path, "web: . ./.profile && gunicorn app:app\n", **{".profile": "export A=b\n"}) == []


def test_the_scripts_of_profile_d_come_before_the_profile(tmp_path: Path):
    files = {".profile": "", ".profile.d/b.sh": "", ".profile.d/a.sh": "", ".profile.d/README": ""}
    [note] = notes(tmp_path, **files)
    assert "servers don't run .profile.d/a.sh and .profile.d/b.sh and .profile: if a command needs them" in note
    assert "'web: . ./.profile.d/a.sh; . ./.profile.d/b.sh; . ./.profile; gunicorn app:app'" in note
    assert notes(tmp_path, "web: . ./.profile.d/a.sh && gunicorn app:app\n", **{".profile.d/a.sh": ""}) == []


def test_the_corpora_of_nltk_get_a_build_line_and_a_variable(tmp_path: Path):
    [note] = notes(tmp_path, **{"nltk.txt": "stopwords\npunkt\n", "bin/post_compile": ""})
    line = "'build: python -m nltk.downloader -d nltk_data stopwords punkt && bin/post_compile'"
    assert note.startswith(f"servers don't run bin/post_compile and the downloads of nltk.txt: add the line {line}")
    assert note.endswith("and run: pulumi config set --path env.NLTK_DATA nltk_data")
    assert notes(tmp_path, f"{GUNICORN}build: python -m nltk.downloader all\n", **{"nltk.txt": "punkt"}) == []
    assert notes(tmp_path, **{"nltk.txt": "\n"}) == []


@pytest.mark.parametrize(
    ("procfile", "files", "line"),
    [
        (GUNICORN, {"bin/post_compile": ""}, "add the line 'build: bin/post_compile' to the Procfile"),
        (
            GUNICORN,
            {"bin/post_compile": "", "bin/pre_compile": "", "backend/manage.py": DJANGO},
            "'build: bin/pre_compile && python backend/manage.py collectstatic --noinput && bin/post_compile'",
        ),
        (GUNICORN, {"bin/post_compile": "", "manage.py": "app.cli()"}, "'build: bin/post_compile'"),
        (
            f"{GUNICORN}build: make\n",
            {"bin/post_compile": ""},
            "change the line of the Procfile to 'build: make && bin/",
        ),
        (GUNICORN, {"package.json": POSTBUILD}, "'build: npm install && npm run heroku-postbuild'"),
        (GUNICORN, {"package.json": BUILD, ".buildpacks": "heroku/nodejs"}, "'build: npm install && npm run build'"),
        (GUNICORN, {"package.json": BUILD, "app.json": '{"buildpacks": [{"url": "heroku/nodejs"}]}'}, "npm run build'"),
        (
            GUNICORN,
            {"package.json": POSTBUILD, "yarn.lock": ""},
            "add nodejs and yarnpkg to the Aptfile, one a line, and add the line 'build: yarnpkg install --frozen-lock",
        ),
        (GUNICORN, {"package.json": POSTBUILD, "Aptfile": "nodejs\nnpm\n"}, "package.json: add the line 'build: npm"),
        (
            GUNICORN,
            {"package.json": POSTBUILD, "package-lock.json": "{}", "bin/post_compile": "", "manage.py": DJANGO},
            "npm ci && npm run heroku-postbuild && python manage.py collectstatic --noinput && bin/post_compile'",
        ),
        (
            f"{GUNICORN}build: python manage.py collectstatic --noinput -i node_modules\n",
            {"package.json": POSTBUILD},
            "'build: npm install && npm run heroku-postbuild && python manage.py collectstatic",
        ),
    ],
)
def test_the_steps_of_herokus_build_get_one_build_line(tmp_path: Path, procfile: str, files: dict[str, str], line: str):
    [note] = notes(tmp_path, procfile, **files)
    assert line in note


def test_a_step_that_is_not_executable_is_run_by_bash(tmp_path: Path):
    contents = write(tmp_path, {"Procfile": GUNICORN, "bin/post_compile": ""})
    (tmp_path / "bin/post_compile").chmod(0o644)
    [note] = heroku_files.notes(tmp_path, contents)
    assert "'build: bash bin/post_compile'" in note


@pytest.mark.parametrize(
    ("procfile", "files"),
    [
        (f"{GUNICORN}build: bin/post_compile\n", {"bin/post_compile": ""}),
        (f"{GUNICORN}release: bash bin/post_compile\n", {"bin/post_compile": ""}),
        (f"{GUNICORN}build: bash build.sh\n", {"build.sh": "yarn build\nbin/post_compile\n", "bin/post_compile": ""}),
        (f"{GUNICORN}build: bash build.sh\n", {"build.sh": "yarn build\n", "package.json": POSTBUILD}),
        (GUNICORN, {"package.json": BUILD, "app.json": '{"buildpacks": null}'}),
        (GUNICORN, {"package.json": '{"scripts": []}', "app.json": "[]"}),
        (GUNICORN, {"package.json": "[" * 100_000, "app.json": "{"}),
    ],
)
def test_steps_that_run_anyway_or_nowhere_are_no_fault(tmp_path: Path, procfile: str, files: dict[str, str]):
    assert notes(tmp_path, procfile, **files) == []


def test_a_slugignore_without_effect_is_said_when_the_app_is_packed(app: Path):
    (app / ".slugignore").write_text("*.psd\n")
    assert artifact.contents(app)[1] == ["servers don't read .slugignore, and get the files that it names, too"]


MANIFEST = """
setup: {config: {SINCE: 2024-13-45}}
build: {docker: {web: Dockerfile}}
release: {image: web, command: [./manage.py migrate, ./manage.py seed]}
run:
  web: |
    python check.py
    gunicorn shop.wsgi
  my worker: {image: web, command: [celery -A shop worker]}
  beat: {command: [celery, -A, shop, beat]}
"""
COMMANDS = {
    "web": "python check.py && gunicorn shop.wsgi",
    "my-worker": "celery -A shop worker",
    "beat": "celery -A shop beat",
    "release": "./manage.py migrate && ./manage.py seed",
}


def test_the_processes_of_heroku_yml_get_the_lines_of_a_procfile(tmp_path: Path):
    with pytest.raises(HerokuFileError) as error:
        heroku_files.require_procfile(tmp_path, {"heroku.yml": MANIFEST.encode()})
    lines = ", ".join(f"'{name}: {command}'" for name, command in COMMANDS.items())
    assert str(error.value).endswith(f"write a Procfile with the lines {lines}")


def test_without_a_web_process_in_heroku_yml_the_lines_begin_with_an_example(tmp_path: Path):
    with pytest.raises(HerokuFileError, match=r"'web: gunicorn yourmodule:app', 'worker: python w\.py'"):
        heroku_files.require_procfile(tmp_path, {"heroku.yml": b"run: {worker: python w.py}"})


def test_processes_that_only_heroku_yml_has_are_said(tmp_path: Path):
    [note] = notes(tmp_path, f"{GUNICORN}release: x\n", **{"heroku.yml": MANIFEST})
    assert note.endswith("add 'my-worker: celery -A shop worker', 'beat: celery -A shop beat'")


@pytest.mark.parametrize(
    "text", ["", "- a", "run: [", "run: {}", "run: text", "build: {docker: {web: Dockerfile}}", "[" * 5000]
)
def test_a_heroku_yml_without_processes_is_left_alone(tmp_path: Path, text: str):
    heroku_files.require_procfile(tmp_path, {"heroku.yml": text.encode()})


def test_comments_of_nltk_txt_are_no_corpora(tmp_path: Path):
    [note] = notes(tmp_path, **{"nltk.txt": "# corpora\npunkt # for sentences\n"})
    assert "-d nltk_data punkt'" in note
