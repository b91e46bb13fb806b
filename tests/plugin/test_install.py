from __future__ import annotations

import runpy
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.client import LOCAL, running_plugin
from tests.plugin.conftest import INSTALL


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    return runpy.run_path(str(INSTALL))


@pytest.fixture(scope="module")
def install(module: dict[str, Any]) -> Callable[[Path, Path], Path]:
    return module["install"]


def test_the_folder_works_at_another_place_whose_name_has_spaces(
    install: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    made = install(Path(sys.executable), tmp_path / "made").parent
    moved = made.rename(tmp_path / "moved to 'here'")
    with running_plugin(moved / "pulumi-resource-command") as plugin:
        assert plugin.create(LOCAL, {"create": "echo x"}).state["stdout"] == "x"


def test_a_folder_made_before_is_made_anew(install: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    out = tmp_path / "plugin"
    install(Path(sys.executable), out)
    (out / "left over").touch()
    install(Path(sys.executable), out)
    assert not (out / "left over").exists()


def test_a_folder_with_something_else_is_left_alone(
    module: dict[str, Any], install: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(module["InstallError"], match="holds something else"):
        install(Path(sys.executable), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_python_without_the_packages_is_refused_by_name(tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=False)
    done = subprocess.run(
        [sys.executable, INSTALL, "--python", tmp_path / "empty/bin/python", "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "lacks pulumi and paramiko" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_python_that_is_none_is_refused(
    module: dict[str, Any], install: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    with pytest.raises(module["InstallError"], match="does not run"):
        install(tmp_path / "no-python", tmp_path / "out")
