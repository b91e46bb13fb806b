"""Which packages a release installs, and what a failed installation leaves unchanged. The tests share one server."""

from __future__ import annotations

import codecs
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.machine import private_registry, python_mirror
from tests.machine.diagnostic_app import APP, DiagnosticAppServer, write_app
from tests.stack import ROOT

pytestmark = pytest.mark.machine
SERVER_CLASS = DiagnosticAppServer

PROJECT = """
[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["{dependency}"]

[dependency-groups]
dev = ["iniconfig"]
"""
UV = ROOT / ".gantry/uv/bin/uv"


@pytest.fixture(scope="module")
def server(server: DiagnosticAppServer, tmp_path_factory: pytest.TempPathFactory) -> DiagnosticAppServer:
    """A healthy app serves."""
    app = write_app(tmp_path_factory.mktemp("good") / "app", requirements_txt="itsdangerous==2.2.0\n")
    server.release(server.upload_app(app))
    return server


def lock(app: Path) -> Path:
    """Write uv.lock. It names a package registry, so this repository must not contain one."""
    subprocess.run([UV, "lock", "--quiet"], cwd=app, check=True)
    return app


def write_project(app: Path, dependency: str = "markupsafe==3.0.2", **files: str) -> Path:
    """The app with a pyproject.toml and more files."""
    return write_app(app, pyproject_toml=PROJECT.format(dependency=dependency), **files)


def append_to(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def packages(server: DiagnosticAppServer) -> dict[str, str]:
    """Versions by the name of the package, without Gunicorn."""
    versions = json.loads(server.page("packages"))
    return {name.lower(): version for name, version in versions.items() if name != "gunicorn"}


def venvs(server: DiagnosticAppServer) -> set[str]:
    return set(server.ssh("ls /opt/gantry/venvs").split())


def test_exactly_the_locked_packages_are_installed(server: DiagnosticAppServer, tmp_path: Path):
    app = lock(write_project(tmp_path / "app", dependency="jinja2<3.1.5", requirements_txt="itsdangerous\n"))
    locked = re.findall(r'\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"', (app / "uv.lock").read_text())
    assert "installed from uv.lock" in server.release(server.upload_app(app))
    expected = {name: version for name, version in locked if name not in ("shop", "iniconfig")}
    assert set(expected) == {"jinja2", "markupsafe"}
    assert packages(server) == expected


def test_a_pyproject_file_without_a_lock_is_enough(server: DiagnosticAppServer, tmp_path: Path):
    app = write_project(tmp_path / "app", dependency="markupsafe==3.0.1")
    assert "installed from pyproject.toml" in server.release(server.upload_app(app))
    assert packages(server) == {"markupsafe": "3.0.1"}


def test_releases_with_the_same_lock_share_one_compiled_venv(server: DiagnosticAppServer, tmp_path: Path):
    app = lock(write_project(tmp_path / "app"))
    server.release(server.upload_app(app))
    before = venvs(server)
    (app / "app.py").write_text(APP.replace('"one"', '"two"'))
    append_to(app / "pyproject.toml", "[tool.ruff]\nline-length = 100\n")
    assert re.search(r"venv +0\.0\d s  unchanged", server.release(server.upload_app(app)))
    assert venvs(server) == before
    assert server.ssh("find /opt/gantry/venvs/*/lib -path '*markupsafe/__pycache__/*.pyc' | wc -l") != "0"


def test_packages_in_the_apps_own_folder_are_reinstalled_with_each_release(server: DiagnosticAppServer, tmp_path: Path):
    app = write_project(tmp_path / "app", dependency="lib")
    append_to(app / "pyproject.toml", '[tool.uv.sources]\nlib = { path = "lib" }\n')
    write_package(app / "lib", name="lib", page="")
    for page in ("from lib", "from lib, edited"):
        (app / "lib/src/lib/__init__.py").write_text(f"PAGE = {page!r}\n")
        (app / "app.py").write_text(APP.replace('PAGE = "one"', "from lib import PAGE"))
        server.release(server.upload_app(lock(app)))
        assert json.loads(server.page()) == page


def test_the_packages_of_poetry_lock_are_installed_with_their_hashes(server: DiagnosticAppServer, tmp_path: Path):
    uv_lock = (lock(write_project(tmp_path / "locked", dependency="jinja2<3.1.5")) / "uv.lock").read_text()
    app = write_project(tmp_path / "app", dependency="jinja2<3.1.5", requirements_txt="itsdangerous\n")
    append_to(app / "pyproject.toml", "[tool.poetry]\npackage-mode = false\n")
    (app / "poetry.lock").write_text(as_poetry_lock(uv_lock))
    output = server.release(server.upload_app(app))
    assert "installed from poetry.lock, 2 packages; requirements.txt is not used" in output
    assert set(packages(server)) == {"jinja2", "markupsafe"}
    (app / "poetry.lock").write_text(re.sub("sha256:[0-9a-f]{64}", f"sha256:{'1' * 64}", as_poetry_lock(uv_lock)))
    assert "Hash mismatch" in failing_installation(server, app)


def as_poetry_lock(uv_lock: str) -> str:
    """The packages of a uv.lock in Poetry's format; those of the group "dev" stay in it."""
    entries = ""
    for package in tomllib.loads(uv_lock)["package"]:
        if "registry" in package["source"]:
            files = ", ".join(
                f'{{file = "{package["name"]}", hash = "{wheel["hash"]}"}}' for wheel in package["wheels"]
            )
            group = "dev" if package["name"] == "iniconfig" else "main"
            entries += f'[[package]]\nname = "{package["name"]}"\nversion = "{package["version"]}"\n'
            entries += f'groups = ["{group}"]\nfiles = [{files}]\n'
    return entries


def test_a_change_in_a_file_that_a_utf_16_list_names_changes_the_packages(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", base_txt="markupsafe==3.0.1\n")
    (app / "requirements.txt").write_bytes(codecs.BOM_UTF16_LE + "-r base.txt\r\n".encode("utf-16-le"))
    server.release(server.upload_app(app))
    assert packages(server) == {"markupsafe": "3.0.1"}
    (app / "base.txt").write_text("markupsafe==3.0.2\n")
    server.release(server.upload_app(app))
    assert packages(server) == {"markupsafe": "3.0.2"}


def test_the_app_itself_may_be_an_editable_package(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt="-e .\n")
    (app / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='shop', version='1', package_dir={'': 'src'}, packages=['shop'],"
        " install_requires=['markupsafe==3.0.2'])\n"
    )
    (app / "src/shop").mkdir(parents=True)
    (app / "src/shop/__init__.py").write_text("PAGE = 'from shop'\n")
    (app / "app.py").write_text(APP.replace('PAGE = "one"', "from shop import PAGE"))
    server.release(server.upload_app(app))
    assert json.loads(server.page()) == "from shop"
    assert packages(server) == {"markupsafe": "3.0.2", "shop": "1"}


def test_a_member_of_a_uv_workspace_is_an_app_with_the_members_that_it_needs(
    server: DiagnosticAppServer, tmp_path: Path
):
    (tmp_path / "apps").mkdir()
    write_package(tmp_path / "libs/core", name="core", page="from core")
    write_package(tmp_path / "libs/other", name="other", page="not needed")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "mono"\nversion = "0"\nrequires-python = ">=3.11"\n'
        '[tool.uv.workspace]\nmembers = ["apps/*", "libs/*"]\n'
    )
    app = write_project(tmp_path / "apps/web", dependency="core")
    append_to(app / "pyproject.toml", "[tool.uv.sources]\ncore = { workspace = true }\n")
    (app / "app.py").write_text(APP.replace('PAGE = "one"', "from core import PAGE"))
    lock(tmp_path)
    assert "installed from the workspace's uv.lock, 1 package" in server.release(server.upload_app(app))
    assert json.loads(server.page()) == "from core"
    assert packages(server) == {"core": "1"}


def write_package(folder: Path, *, name: str, page: str) -> None:
    """A package whose module has the text ``PAGE``."""
    (folder / f"src/{name}").mkdir(parents=True)
    (folder / f"src/{name}/__init__.py").write_text(f"PAGE = {page!r}\n")
    build = '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
    (folder / "pyproject.toml").write_text(f'{build}[project]\nname = "{name}"\nversion = "1"\n')


def failing_installation(server: DiagnosticAppServer, app: Path) -> str:
    """Release an app whose packages can't be installed, and assert that nothing changes; returns the error."""
    before = server.page("packages"), venvs(server), server.kept_releases()
    error = server.failing_release(server.upload_app(app))
    assert (server.page("packages"), venvs(server), server.kept_releases()) == before
    assert len(error.splitlines()) < 20
    assert "Traceback" not in error
    return error


def test_a_wrong_hash_in_the_lock_fails_the_release_and_changes_nothing(server: DiagnosticAppServer, tmp_path: Path):
    app = lock(write_project(tmp_path / "app", dependency="click==8.1.7"))
    text = (app / "uv.lock").read_text()
    (app / "uv.lock").write_text(re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text))
    assert "Hash mismatch for `click==8.1.7`" in failing_installation(server, app)


def test_a_wrong_hash_in_requirements_txt_fails_the_release_too(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt=f"click==8.1.6 --hash=sha256:{'0' * 64}\n")
    assert "Hash mismatch for `click==8.1.6`" in failing_installation(server, app)


def test_the_error_names_a_package_version_that_does_not_exist(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt="click==0.0.99\n")
    assert "click==0.0.99" in failing_installation(server, app)


def test_a_registry_that_is_down_fails_the_release_and_changes_nothing(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt="click==8.1.5\n")
    with server.outgoing_blocked():
        error = failing_installation(server, app)
    assert "click" in error
    assert "Failed to fetch" in error
    server.release(server.upload_app(app))


def test_a_python_that_the_server_cannot_download_is_refused_with_both_versions(
    server: DiagnosticAppServer, tmp_path: Path
):
    app = write_app(tmp_path / "app", requirements_txt="itsdangerous\n", runtime_txt="python-3.12\n")
    with server.outgoing_blocked():
        error = failing_installation(server, app)
    assert re.search(r"asks for Python 3\.12 \(runtime\.txt\), this server has 3\.\d+\.\d+", error)
    assert "pulumi config set pythonMirror" in error


def test_the_python_that_the_app_asks_for_is_installed_from_the_mirror(server: DiagnosticAppServer, tmp_path: Path):
    url, mirror = "http://127.0.0.1:8419", tmp_path / "mirror"
    version = python_mirror.make(mirror, url)
    archive = subprocess.run(["tar", "-c", "-C", mirror, "."], check=True, capture_output=True).stdout
    server.send(archive, "mkdir -p /tmp/mirror && tar -x -C /tmp/mirror --no-same-owner")
    server.ssh("sudo systemd-run --quiet --unit=mirror python3 -m http.server 8419 --directory /tmp/mirror")
    server.change_settings(python_mirror=f"{url}/pythons.json")
    server.configure()
    app = write_app(tmp_path / "app", requirements_txt="markupsafe==3.0.2\n", runtime_txt=f"python-{version}")
    (app / "app.py").write_text(APP.replace('PAGE = "one"', "import ssl, sys\n\nPAGE = list(sys.version_info[:2])"))
    output = server.release(server.upload_app(app))
    assert f"Python {version} for {version} (runtime.txt)" in output
    assert json.loads(server.page()) == [3, 10]
    server.change_settings(python_mirror=None)
    server.configure()


def test_system_packages_are_installed_before_the_release_needs_them(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt="itsdangerous\n")
    (app / "Aptfile").write_text("# for the tests\nlibmagic1\n")
    server.change_settings(apt_packages=("tree", "rsync"))
    server.configure()
    release = server.upload_app(app)
    assert "installed tree, rsync, libmagic1" in server.release(release)
    assert server.ssh("tree --version; test -e /usr/sbin/policy-rc.d || echo no policy").endswith("no policy")
    # rsync has a service, which didn't start.
    assert server.ssh("systemctl is-active rsync", check=False) != "active"
    server.change_settings(apt_packages=("tree",))
    server.configure()
    with server.outgoing_blocked():
        assert "unchanged, no longer listed, but still installed: rsync" in server.release(release)
    server.change_settings(apt_packages=())
    server.configure()


def test_an_unknown_system_package_fails_the_release_and_is_named(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt="itsdangerous\n")
    (app / "Aptfile").write_text("libgl1-mesa-glx\n")
    assert "Debian has no package 'libgl1-mesa-glx'" in (error := failing_installation(server, app))
    assert "write libgl1" in error


def test_a_build_that_misses_system_packages_names_them(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt="mysqlclient==2.2.7\n")
    error = failing_installation(server, app)
    assert "default-libmysqlclient-dev pkg-config build-essential python3-dev" in error
    assert "aptPackages" in error


def test_a_package_of_a_git_repository_is_installed_with_git(server: DiagnosticAppServer, tmp_path: Path):
    url = serve_git_repository(server, tmp_path / "repository")
    assert server.ssh("command -v git", check=False) == ""
    app = write_app(tmp_path / "app", requirements_txt=f"-e git+{url}@1.0#egg=lib\n")
    assert "installed git" in server.release(server.upload_app(app))
    assert packages(server) == {"lib": "1"}
    (app / "requirements.txt").write_text(f"markupsafe==3.0.2\nlib @ git+{url}\n")
    server.release(server.upload_app(app))
    assert packages(server) == {"lib": "1", "markupsafe": "3.0.2"}


def serve_git_repository(server: DiagnosticAppServer, folder: Path) -> str:
    """Serve a repository with a package ``lib`` on the server itself; returns its URL."""
    (folder / "lib").mkdir(parents=True)
    (folder / "lib/__init__.py").touch()
    (folder / "setup.py").write_text("from setuptools import setup\nsetup(name='lib', version='1', packages=['lib'])\n")
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@test"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "lib"], ["tag", "1.0"], ["update-server-info"]):
        subprocess.run([*git, *words], check=True)
    archive = subprocess.run(["tar", "-c", "-C", folder, ".git"], check=True, capture_output=True).stdout
    server.send(archive, "mkdir -p /tmp/lib && tar -x -C /tmp/lib --no-same-owner")
    server.ssh("sudo systemd-run --quiet --unit=git-server python3 -m http.server 8418 --directory /tmp/lib")
    server.wait_until(lambda: ":8418" in server.ssh("ss -ltn"), "the git server", 10)
    return "http://localhost:8418/.git"


def test_a_private_registry_gets_the_login_from_the_apps_variables(server: DiagnosticAppServer, tmp_path: Path):
    private_registry.serve(server)
    user, password = private_registry.USER, private_registry.PASSWORD
    line = f"--extra-index-url http://{user}:${{TOKEN}}@{private_registry.ADDRESS}\n"
    app = write_app(tmp_path / "app", requirements_txt=f"{line}lib==1\n")
    assert "pulumi config set --secret --path env.TOKEN <value>" in failing_installation(server, app)
    error = server.failing_release(server.upload_app(app), TOKEN="wrong-password")
    assert "401" in error and "wrong-password" not in error
    server.release(server.upload_app(app), TOKEN=password)
    assert packages(server) == {"lib": "1"}
    (app / "requirements.txt").write_text("lib>=1\n")
    server.release(server.upload_app(app), PIP_EXTRA_INDEX_URL=f"http://{user}:{password}@{private_registry.ADDRESS}")
    assert packages(server) == {"lib": "1"}
