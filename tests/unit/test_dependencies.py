"""The files that list an app's packages, checked while it is packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app.artifact import tarball
from components.app.dependencies import DependencyError
from tests.unit.tarballs import members


@pytest.mark.parametrize("line", ["-e .", ".", "./lib", "lib @ file:lib"])
def test_a_package_built_from_the_apps_own_folder_is_refused_with_the_remedy(app: Path, line: str):
    (app / "requirements.txt").write_text(f"flask\n{line}\n")
    with pytest.raises(DependencyError, match="leave it out"):
        tarball(app)


def test_a_wheel_in_the_apps_folder_is_accepted(app: Path):
    (app / "requirements.txt").write_text("./wheels/lib-1.0-py3-none-any.whl  # ours\n")
    assert "requirements.txt" in members(app)


def test_an_app_without_requirements_is_refused_with_the_remedy(app: Path):
    (app / "requirements.txt").unlink()
    with pytest.raises(DependencyError, match=r"add a requirements\.txt"):
        tarball(app)


def test_a_project_file_or_a_lock_replaces_requirements_but_a_lock_needs_its_project_file(app: Path):
    (app / "requirements.txt").unlink()
    (app / "pyproject.toml").write_text('[project]\nname = "shop"\ndependencies = ["flask"]\n')
    assert "pyproject.toml" in members(app)
    (app / "uv.lock").write_text("version = 1\n")
    assert "uv.lock" in members(app)
    (app / ".gitignore").write_text("pyproject.toml\n")
    with pytest.raises(DependencyError, match=r"the app has uv\.lock, but no pyproject\.toml"):
        tarball(app)
