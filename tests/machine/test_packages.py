"""What gets installed, from which file, and what a failure leaves alone. The tests share one server, in any order."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import diagnostic_app as driven
from tests.machine.diagnostic_app import Server, write

pytestmark = pytest.mark.machine

PROJECT = """
[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["{needs}"]

[dependency-groups]
dev = ["iniconfig"]
"""
UV = driven.ROOT / ".gantry/uv/bin/uv"


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with driven.booted(ssh_key) as server:
        good = write(tmp_path_factory.mktemp("good") / "app", requirements_txt="itsdangerous==2.2.0\n")
        server.serve(server.upload(good))
        yield server


def lock(app: Path) -> Path:
    """Write uv.lock; it names a registry, so that none is in the repository."""
    subprocess.run([UV, "lock", "--quiet"], cwd=app, check=True)
    return app


def project(app: Path, needs: str = "markupsafe==3.0.2", **files: str) -> Path:
    return write(app, pyproject_toml=PROJECT.format(needs=needs), **files)


def packages(server: Server) -> dict[str, str]:
    found = json.loads(server.page("packages"))
    return {name.lower(): version for name, version in found.items() if name != "gunicorn"}


def environments(server: Server) -> set[str]:
    return set(server.ssh("ls /opt/gantry/venvs").split())


def test_exactly_the_locked_packages_are_installed(server: Server, tmp_path: Path):
    app = lock(project(tmp_path / "app", needs="jinja2<3.1.5", requirements_txt="itsdangerous\n"))
    locked = re.findall(r'\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"', (app / "uv.lock").read_text())
    said = server.serve(server.upload(app))
    assert "installed from uv.lock" in said
    expected = {name: version for name, version in locked if name not in ("shop", "iniconfig")}
    assert set(expected) == {"jinja2", "markupsafe"}
    assert packages(server) == expected


def test_a_pyproject_file_without_a_lock_is_enough(server: Server, tmp_path: Path):
    said = server.serve(server.upload(project(tmp_path / "app", needs="markupsafe==3.0.1")))
    assert "installed from pyproject.toml" in said
    assert packages(server) == {"markupsafe": "3.0.1"}


def test_releases_with_the_same_lock_share_one_compiled_venv(server: Server, tmp_path: Path):
    app = lock(project(tmp_path / "app"))
    server.serve(server.upload(app))
    before = environments(server)
    (app / "app.py").write_text(driven.APP.replace('"one"', '"two"'))
    (app / "pyproject.toml").write_text((app / "pyproject.toml").read_text() + "[tool.ruff]\nline-length = 100\n")
    assert re.search(r"environment +0\.0\d s  unchanged", server.serve(server.upload(app)))
    assert environments(server) == before
    assert server.ssh("find /opt/gantry/venvs/*/lib -path '*markupsafe/__pycache__/*.pyc' | wc -l") != "0"


def test_packages_in_the_apps_own_folder_are_reinstalled_with_each_release(server: Server, tmp_path: Path):
    app = project(tmp_path / "app", needs="lib")
    (app / "lib").mkdir()
    build = '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
    (app / "lib/pyproject.toml").write_text(f'{build}[project]\nname = "lib"\nversion = "1"\n')
    (app / "lib/src/lib").mkdir(parents=True)
    (app / "pyproject.toml").write_text(
        (app / "pyproject.toml").read_text() + '[tool.uv.sources]\nlib = { path = "lib" }\n'
    )
    code = app / "lib/src/lib/__init__.py"
    for page in ("from lib", "from lib, edited"):
        code.write_text(f"PAGE = {page!r}\n")
        (app / "app.py").write_text(driven.APP.replace('PAGE = "one"', "from lib import PAGE"))
        server.serve(server.upload(lock(app)))
        assert json.loads(server.page()) == page


def refused(server: Server, app: Path) -> str:
    """Release an app that can't be installed; returns the error, and asserts that nothing else came of it."""
    before = server.page("packages"), environments(server), server.kept()
    said = server.refused(server.upload(app))
    assert (server.page("packages"), environments(server), server.kept()) == before
    assert len(said.splitlines()) < 20
    assert "Traceback" not in said
    return said


def test_a_wrong_hash_in_the_lock_fails_the_release_and_changes_nothing(server: Server, tmp_path: Path):
    app = lock(project(tmp_path / "app", needs="click==8.1.7"))
    text = (app / "uv.lock").read_text()
    (app / "uv.lock").write_text(re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text))
    assert "Hash mismatch for `click==8.1.7`" in refused(server, app)


def test_a_wrong_hash_in_requirements_txt_fails_the_release_too(server: Server, tmp_path: Path):
    app = write(tmp_path / "app", requirements_txt=f"click==8.1.6 --hash=sha256:{'0' * 64}\n")
    assert "Hash mismatch for `click==8.1.6`" in refused(server, app)


def test_the_error_names_a_package_version_that_does_not_exist(server: Server, tmp_path: Path):
    app = write(tmp_path / "app", requirements_txt="click==0.0.99\n")
    assert "click==0.0.99" in refused(server, app)


def test_a_registry_that_is_down_fails_the_release_and_changes_nothing(server: Server, tmp_path: Path):
    app = write(tmp_path / "app", requirements_txt="click==8.1.5\n")
    with server.without_registries():
        said = refused(server, app)
    assert "click" in said
    assert "Failed to fetch" in said
    server.serve(server.upload(app))


def test_a_missing_python_version_is_named_before_anything_is_installed(server: Server, tmp_path: Path):
    app = project(tmp_path / "app")
    (app / "pyproject.toml").write_text((app / "pyproject.toml").read_text().replace(">=3.11", "<3.11"))
    assert re.search(r"requires Python <3\.11 .* this server has 3\.\d+\.\d+", refused(server, app))
