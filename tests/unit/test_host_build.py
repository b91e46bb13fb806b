"""Builds: the command, its copy of the release, and when a build is made again."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from host import build, collectstatic, deployment, oneshot, systemd
from host.deployment import Deployment, Folders
from host.errors import ReleaseError
from host.paths import Paths
from tests.unit.host_server import FakeServer, run_as_oneself

BUILDING = "web: gunicorn a:b\nbuild: cp page built; echo built with $COLOUR\n"


class BuildServer(FakeServer):
    """A fake server whose build units run for real, without systemd; ``builds`` has their commands."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, monkeypatch)
        run_as_oneself(monkeypatch)
        self.builds: list[str] = []
        self.output = ""
        self.variables: dict[str, str] = {}
        monkeypatch.setattr(oneshot, "succeeds", self.run)
        monkeypatch.setattr(systemd, "show", lambda *_: {"Result": "exit-code", "ExecMainStatus": "1"})
        monkeypatch.setattr(systemd, "journal", lambda unit: self.output.strip())

    def run(self, unit: str, write: Callable[[str], None] = oneshot.say_line) -> bool:
        folder = self.paths.deployments / unit.partition("@")[2].removesuffix(".service")
        self.builds.append((folder / "build").read_text())
        environment = dict(line.split("=", 1) for line in (self.paths.env_files / folder.name).read_text().splitlines())
        env = {**os.environ, **{name: value.strip('"') for name, value in environment.items()}}
        result = subprocess.run([folder / "build"], cwd=folder / "app", env=env, capture_output=True, text=True)
        self.output = result.stdout + result.stderr
        for line in self.output.splitlines():
            write(line)
        return result.returncode == 0

    def ensure(self, release: str, **variables: str) -> Path:
        """Build an unpacked release; returns the folder that the app runs in."""
        folder = self.paths.releases / release
        venv_folder = self.install(self.paths, folder, variables)[0]
        return build.ensure(self.paths, Deployment(release, "s1", variables), venv_folder).app

    def unpack(self, name: str, **contents: str) -> str:
        """An unpacked release without an upload. In names, _ stands for a dot."""
        folder = self.paths.releases / name
        folder.mkdir(parents=True)
        for file, text in {"Procfile": "web: gunicorn a:b\n", "requirements_txt": "flask", **contents}.items():
            (folder / file.replace("_", ".")).write_text(text)
        return name


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildServer:
    return BuildServer(tmp_path, monkeypatch)


def test_a_release_without_a_build_runs_in_its_own_folder(server: BuildServer):
    release = server.upload("one")
    server.release(release)
    assert (server.paths.current / "app").resolve() == server.paths.releases / release
    assert not server.paths.builds.exists()


def test_the_build_command_runs_before_the_start_in_a_copy_of_the_release_with_the_apps_variables(
    server: BuildServer, capsys: pytest.CaptureFixture[str]
):
    release = server.upload("one", Procfile=BUILDING)
    server.release(release, COLOUR="red")
    assert (server.paths.current / "app/built").read_text() == "one"
    assert not (server.paths.releases / release / "built").exists()
    output = capsys.readouterr().out
    assert output.index("  built with red\n") < output.index("\nbuild ") < output.index("\nstart ")


def test_only_root_may_write_to_a_build_and_everybody_may_read_it(server: BuildServer):
    command = "mkdir -m 700 made && touch made/file && chmod 600 made/file && chmod 4777 page && ln -s page link"
    app = server.ensure(server.unpack("aa", page="one", Procfile=f"web: gunicorn a:b\nbuild: {command}\n"))
    modes = {str(path.relative_to(app)): path.lstat().st_mode & 0o7777 for path in app.rglob("*")}
    del modes["link"]
    assert modes == {"made": 0o755, "made/file": 0o644, "page": 0o755, "Procfile": 0o644, "requirements.txt": 0o644}
    assert (app / "link").readlink() == Path("page")


def test_a_rollback_builds_nothing_again_and_a_changed_variable_does(
    server: BuildServer, capsys: pytest.CaptureFixture[str]
):
    one, two = (server.upload(page, Procfile=BUILDING) for page in ("one", "two"))
    for release in (one, two, one):
        server.release(release, COLOUR="red")
    assert len(server.builds) == 2
    assert "unchanged" in [line for line in capsys.readouterr().out.splitlines() if line.startswith("build ")][-1]
    server.release(one, COLOUR="blue")
    assert len(server.builds) == 3
    server.release(one, COLOUR="red")
    assert len(server.builds) == 3


def test_a_build_that_fails_ends_the_release_before_the_start_and_leaves_no_files(server: BuildServer):
    server.release(first := server.upload("one"))
    broken = server.upload("two", Procfile="web: gunicorn a:b\nbuild: touch half; echo no such module; false\n")
    with pytest.raises(ReleaseError) as error:
        server.release(broken)
    assert str(error.value).splitlines() == [
        "the build failed with exit status 1: touch half; echo no such module; false",
        "no such module",
        f"release {first} still serves",
    ]
    assert not any(call.startswith("start") for call in server.calls)
    assert (list(server.paths.builds.iterdir()), server.page()) == ([], "one")
    assert len(list(server.paths.deployments.iterdir())) == len(list(server.paths.env_files.iterdir())) == 1


def test_a_build_that_was_killed_does_not_count_and_ends_before_the_next_one_begins(
    server: BuildServer, monkeypatch: pytest.MonkeyPatch
):
    release = server.unpack("aa", page="one", Procfile=BUILDING)
    app = server.ensure(release, COLOUR="red")
    (app.parent / build.MARK).unlink()
    (app / "half").touch()
    monkeypatch.setattr(systemd, "listed", lambda *_: {"gantry-build@aa-1.service": "activating"})
    server.calls.clear()
    assert server.ensure(release, COLOUR="red") == app
    assert server.calls[0] == "stop gantry-build@aa-1.service"
    assert (len(server.builds), (app / "half").exists(), (app.parent / build.MARK).exists()) == (2, False, True)


def test_the_builds_of_kept_releases_stay_and_no_others(server: BuildServer):
    digests: list[str] = []
    for number in range(7):
        digests.append(server.upload(f"{number}", Procfile=BUILDING))
        server.release(digests[-1], COLOUR="red")
        os.utime(server.paths.releases / digests[-1], (1000 + number, 1000 + number))
    assert {build.release_of(folder.name) for folder in server.paths.builds.iterdir()} == set(digests[2:])
    for colour in ("a", "b", "c"):
        server.release(digests[6], COLOUR=colour)
    assert [build.release_of(folder.name) for folder in server.paths.builds.iterdir()].count(digests[6]) == 2
    builds = len(server.builds)
    server.release(digests[3], COLOUR="red")
    assert len(server.builds) == builds


def test_static_files_named_by_a_digest_are_published_as_long_as_a_build_has_them(server: BuildServer):
    command = "d=$(md5sum page | cut -c1-12); cp page style.$d.css; cp page dump.$d.sql; ln -s page link.$d.css"
    digests: list[str] = []
    for page in "0123456":
        contents = {"Procfile": f"web: gunicorn a:b\nbuild: {command}\n", "shipped-0123abcd_css": page}
        digests.append(server.upload(page, **contents))
        server.release(digests[-1])
        os.utime(server.paths.releases / digests[-1], (1000 + int(page), 1000 + int(page)))
        if page == "1":
            assert {file.read_text() for file in server.paths.assets.iterdir()} == {"0", "1"}
    assert {file.read_text() for file in server.paths.assets.iterdir()} == {"2", "3", "4", "5", "6"}
    assert all(re.fullmatch(r"style\.[0-9a-f]{12}\.css", file.name) for file in server.paths.assets.iterdir())


@pytest.fixture
def django(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every virtual environment has Django and no other package."""
    monkeypatch.setattr(collectstatic.venv, "has_package", lambda folder, name: name == "django")


@pytest.mark.usefixtures("django")
def test_the_build_of_a_django_app_is_collectstatic_unless_a_line_of_the_procfile_replaces_it(server: BuildServer):
    manage = "import pathlib, sys; pathlib.Path('collected').write_text(' '.join(sys.argv))"
    app = server.ensure(server.unpack("aa", manage_py=manage))
    assert (app / "collected").read_text() == "manage.py collectstatic --noinput"
    app = server.ensure(server.unpack("bb", manage_py=manage, Procfile="web: gunicorn a:b\nbuild: touch own\n"))
    assert ((app / "collected").exists(), (app / "own").exists()) == (False, True)


def test_collectstatic_runs_for_the_nearest_manage_py_if_django_is_installed(tmp_path: Path):
    release, venv = tmp_path / "release", tmp_path / "venv"
    for folder in ("a/b/c", "shop"):
        (release / folder).mkdir(parents=True)
    (release / "a/b/c/manage.py").touch()
    (venv / "lib/python3.13/site-packages/django").mkdir(parents=True)
    (venv / "lib/python3.13/site-packages/django/__init__.py").touch()
    assert collectstatic.command(release, venv, {}) is None
    (release / "a/b/manage.py").touch()
    assert collectstatic.command(release, venv, {}) == "python a/b/manage.py collectstatic --noinput"
    (release / "shop/manage.py").touch()
    assert collectstatic.command(release, venv, {}) == "python shop/manage.py collectstatic --noinput"
    assert collectstatic.command(release, venv, {"DISABLE_COLLECTSTATIC": "1"}) is None
    assert collectstatic.command(release, tmp_path, {}) is None


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "django.core.exceptions.ImproperlyConfigured: You're using the staticfiles app without having set the"
            " STATIC_ROOT setting to a filesystem path.",
            "no STATIC_ROOT",
        ),
        ("Unknown command: 'collectstatic'\nType 'manage.py help' for usage.", "isn't in INSTALLED_APPS"),
    ],
)
@pytest.mark.usefixtures("django")
def test_a_django_app_without_static_files_is_released_and_the_output_says_why_none_are_collected(
    server: BuildServer, capsys: pytest.CaptureFixture[str], output: str, reason: str
):
    server.ensure(server.unpack("aa", manage_py=f"raise SystemExit({output!r})"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert reason in lines[0]


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("MissingFileError: css/a.css", "turn it off with: pulumi config set --path env.DISABLE_COLLECTSTATIC 1"),
        ("No Django settings specified.\nUnknown command: 'collectstatic'", "env.DISABLE_COLLECTSTATIC 1"),
        ("ImproperlyConfigured: The SECRET_KEY setting must not be empty.", "--secret --path env.SECRET_KEY <value>"),
    ],
)
@pytest.mark.usefixtures("django")
def test_any_other_failure_of_collectstatic_fails_the_release_and_names_the_remedy(
    server: BuildServer, output: str, remedy: str
):
    with pytest.raises(ReleaseError) as error:
        server.ensure(server.unpack("aa", manage_py=f"raise SystemExit({output!r})"))
    first, *_, last = str(error.value).splitlines()
    assert first == "the build failed with exit status 1: python manage.py collectstatic --noinput"
    assert output in str(error.value)
    assert remedy in last


@pytest.mark.usefixtures("django")
def test_a_static_root_outside_of_the_app_gets_the_line_to_write(server: BuildServer):
    output = "OSError: [Errno 30] Read-only file system: '/var/www/static'"
    with pytest.raises(ReleaseError) as error:
        server.ensure(server.unpack("aa", manage_py=f"raise SystemExit({output!r})"))
    assert "STATIC_ROOT = BASE_DIR / 'staticfiles'" in str(error.value).splitlines()[-1]


def test_a_deployment_links_to_its_build(tmp_path: Path):
    paths = Paths(tmp_path)
    (paths.releases / "aa").mkdir(parents=True)
    (paths.releases / "aa/Procfile").write_text("web: gunicorn a:b\n")
    paths.gunicorn_settings.parent.mkdir(parents=True)
    paths.gunicorn_settings.touch()
    options = Deployment("aa", "s1", {})
    deployment.write_files(paths, options, Folders(paths.builds / "aa-1/app", paths.venvs / "v1"))
    assert (paths.deployments / options.name / "app").readlink() == paths.builds / "aa-1/app"
