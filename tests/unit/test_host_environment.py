from __future__ import annotations

from pathlib import Path

import pytest

from host.environment import key


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "3f2a91c0ffee"
    folder.mkdir()
    (folder / "requirements.txt").write_text("flask==3.1.3\n")
    return folder


def test_the_same_requirements_of_another_release_share_an_environment(release: Path, tmp_path: Path):
    other = tmp_path / "9c1b00000000"
    other.mkdir()
    (other / "requirements.txt").write_text("flask==3.1.3\n")
    assert key(other, b"gunicorn") == key(release, b"gunicorn")


def test_another_gunicorn_of_ours_is_another_environment(release: Path):
    assert key(release, b"gunicorn==1") != key(release, b"gunicorn==2")


@pytest.mark.parametrize("line", ["-r base.txt", "--requirement=base.txt", "-c base.txt # pins"])
def test_a_change_in_a_file_that_the_requirements_name_is_another_environment(release: Path, line: str):
    (release / "requirements.txt").write_text(f"flask\n{line}\n")
    (release / "base.txt").write_text("click==8.1\n")
    before = key(release, b"")
    (release / "base.txt").write_text("click==8.2\n")
    assert key(release, b"") != before


@pytest.mark.parametrize("line", [".", "-e .", "./lib", "--editable lib", "lib @ file:lib"])
def test_an_app_that_installs_its_own_code_gets_an_environment_for_each_release(
    release: Path, tmp_path: Path, line: str
):
    (release / "requirements.txt").write_text(f"{line}\n")
    other = tmp_path / "9c1b00000000"
    other.mkdir()
    (other / "requirements.txt").write_text(f"{line}\n")
    assert key(other, b"") != key(release, b"")
