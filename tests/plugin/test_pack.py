from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.plugin.client import LOCAL, running_plugin
from tools.offline.pack_plugin import PackError, pack
from tools.setup.paths import ROOT


def test_the_folder_works_after_a_move_to_a_path_with_spaces(tmp_path: Path) -> None:
    folder = pack(Path(sys.executable), tmp_path / "plugin").parent
    moved = folder.rename(tmp_path / "moved to 'here'")
    with running_plugin(moved / "pulumi-resource-command") as plugin:
        assert plugin.create(LOCAL, {"create": "echo x"}).state["stdout"] == "x"


def test_an_older_folder_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "plugin"
    pack(Path(sys.executable), out)
    (out / "left over").touch()
    pack(Path(sys.executable), out)
    assert not (out / "left over").exists()


def test_a_folder_with_other_files_is_refused_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(PackError, match="contains other files"):
        pack(Path(sys.executable), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_python_without_the_packages_is_refused_and_they_are_named(tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=False)
    options = ["--python", tmp_path / "empty/bin/python", "--out", tmp_path / "out"]
    result = subprocess.run(
        [sys.executable, "-m", "tools.offline.pack_plugin", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "lacks pulumi and paramiko" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="does not run"):
        pack(tmp_path / "no-python", tmp_path / "out")
