from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from host.environment import key, reader, shortened

from host import environment
from host.errors import ReleaseError
from host.paths import Paths

HASHED = "flask==3.1.3 --hash=sha256:00\n"


class Installer:
    """Stands in for uv: writes down what it is asked, and makes what the app's own requirements bring."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.commands: list[list[str]] = []
        self.brings = ""
        self.refuse: str | None = None
        for folder in (self.paths.releases, self.paths.venvs):
            folder.mkdir(parents=True)
        self.paths.gunicorn.write_text("gunicorn==27.0.1\n")
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setattr(environment.pwd, "getpwnam", lambda _: SimpleNamespace(pw_uid=7))
        monkeypatch.setattr(environment, "end_processes_of", lambda user: self.commands.append(["end", str(user)]))
        monkeypatch.setattr(environment.shutil, "chown", lambda *_: None)

    def run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        words = [Path(word).name if word.startswith("/") else word for word in command]
        self.commands.append(words)
        if self.refuse and self.refuse in words:
            return subprocess.CompletedProcess(command, 1, "", "no route to the registry")
        if self.brings and "requirements.txt" in words:
            venv = Path(command[command.index("--python") + 1]).parents[1]
            (venv / "bin").mkdir()
            (venv / "bin/gunicorn").touch()
            (venv / f"lib/python3.13/site-packages/gunicorn-{self.brings}.dist-info").mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0, "", "")

    def release(self, name: str, **files: str) -> Path:
        folder = self.paths.releases / name
        folder.mkdir()
        for file, text in files.items():
            (folder / f"{file}.txt").write_text(text)
        return folder

    def install(self, release: Path) -> tuple[str, str]:
        self.commands.clear()
        folder, said = environment.environment(self.paths, release)
        return folder.name, said


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    return Installer(tmp_path, monkeypatch)


def test_the_same_requirements_of_another_release_share_an_environment_and_cost_nothing(installer: Installer):
    first = installer.install(installer.release("a", requirements="flask\n"))
    second = installer.install(installer.release("b", requirements="flask\n"))
    assert (first[0], second) == (second[0], (first[0], "unchanged"))
    assert installer.commands == []


def test_what_a_killed_run_left_installing_is_ended_before_anything_is_installed(installer: Installer):
    installer.install(installer.release("a", requirements="flask\n"))
    assert installer.commands[0] == ["end", "7"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes of another user")
def test_the_processes_of_a_user_are_ended_and_no_others():
    # Users that nobody has, so that nothing else is theirs.
    with (
        subprocess.Popen(["sleep", "60"], user=54321) as one,
        subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 60 & wait"], user=54321) as two,
        subprocess.Popen(["sleep", "60"], user=54322) as other,
    ):
        ending = threading.Thread(target=environment.end_processes_of, args=(54321,))
        ending.start()
        assert (one.wait(10), two.wait(10)) == (-signal.SIGKILL, -signal.SIGKILL)
        ending.join(10)
        assert (ending.is_alive(), other.poll()) == (False, None)
        other.kill()


def test_another_gunicorn_of_ours_is_another_environment(installer: Installer):
    release = installer.release("a", requirements="flask\n")
    first = installer.install(release)
    installer.paths.gunicorn.write_text("gunicorn==28\n")
    assert installer.install(release)[0] != first[0]


@pytest.mark.parametrize("line", ["-r base.txt", "--requirement=base.txt", "-c base.txt # pins"])
def test_a_change_in_a_file_that_the_requirements_name_is_another_environment(installer: Installer, line: str):
    first = installer.release("a", requirements=f"flask\n{line}\n", base="click==8.1\n")
    second = installer.release("b", requirements=f"flask\n{line}\n", base="click==8.2\n")
    assert installer.install(first)[0] != installer.install(second)[0]


@pytest.mark.parametrize(
    "line",
    ["./lib", "lib/", "wheels/lib-1.whl", "-e .", "--editable=lib", "-f wheels", "--find-links=wheels", "lib @ ./lib"],
)
def test_packages_of_the_app_itself_are_not_shared_with_another_release(installer: Installer, line: str):
    first, second = (installer.release(name, requirements=f"{line}\n") for name in "ab")
    assert installer.install(first)[0] != installer.install(second)[0]


@pytest.mark.parametrize(
    "line",
    [
        "flask>=3 # see docs/flask", "-e git+https://git.test/lib", "-f https://index.test/wheels",
        "lib @ git+ssh://git@git.test/lib.git", "https://index.test/lib-1.whl", "--index-url https://index.test/simple",
    ],
)  # fmt: skip
def test_packages_from_elsewhere_are_shared_between_releases(installer: Installer, line: str):
    first, second = (installer.release(name, requirements=f"{line}\n") for name in "ab")
    assert installer.install(first)[0] == installer.install(second)[0]


def test_an_update_of_the_systems_python_leaves_the_environments_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    release = project(tmp_path / "a")
    before = named(release)
    monkeypatch.setattr(environment.sys, "version", "another build")
    assert named(release) == before
    monkeypatch.setattr(environment.sys, "version_info", SimpleNamespace(major=3, minor=99))
    assert named(release) != before


def test_requirements_that_name_themselves_or_an_address_are_no_trouble(installer: Installer):
    text = "-r requirements.txt\n-c https://example.org/pins.txt\nflask\n"
    assert installer.install(installer.release("a", requirements=text))[1] == "installed from requirements.txt"


def test_a_missing_file_of_requirements_is_named(installer: Installer):
    with pytest.raises(ReleaseError, match=r"base\.txt"):
        installer.install(installer.release("a", requirements="-r base.txt\n"))


def test_one_hash_makes_hashes_the_rule_for_all(installer: Installer):
    installer.install(installer.release("a", requirements=HASHED))
    own = next(words for words in installer.commands if "requirements.txt" in words)
    assert "--require-hashes" in own
    installer.install(installer.release("b", requirements="flask\n"))
    own = next(words for words in installer.commands if "requirements.txt" in words)
    assert "--require-hashes" not in own


def test_gunicorn_comes_from_the_cache_and_from_the_registry_only_where_that_fails(installer: Installer):
    release = installer.release("a", requirements="flask\n")
    installer.install(release)
    assert ["--offline" in words for words in installer.commands if "gunicorn.txt" in words] == [True]
    installer.refuse = "--offline"
    installer.install(installer.release("b", requirements="bottle\n"))
    assert ["--offline" in words for words in installer.commands if "gunicorn.txt" in words] == [True, False]


def test_the_apps_own_gunicorn_is_used_and_an_old_one_is_warned_of(installer: Installer):
    installer.brings = "27.0.1"
    assert installer.install(installer.release("a", requirements="gunicorn\n"))[1] == "installed from requirements.txt"
    assert not [words for words in installer.commands if "gunicorn.txt" in words]
    installer.brings = "21.2.0"
    said = installer.install(installer.release("b", requirements="gunicorn==21.2.0\n"))[1]
    assert "gunicorn 21.2.0 may cut requests off" in said


def test_an_environment_that_cannot_be_built_leaves_nothing_and_says_why(installer: Installer):
    installer.refuse = "requirements.txt"
    with pytest.raises(ReleaseError, match="no route to the registry"):
        installer.install(installer.release("a", requirements="flask\n"))
    assert list(installer.paths.venvs.iterdir()) == []


def project(folder: Path, lock: str = "locked", **keys: str) -> Path:
    """A release with uv.lock and pyproject.toml."""
    folder.mkdir(exist_ok=True)
    keys = {"name": "shop", "version": "1", "requires-python": ">=3.11", **keys}
    table = "".join(f'{name} = "{value}"\n' for name, value in keys.items())
    (folder / "pyproject.toml").write_text(f"[project]\n{table}")
    (folder / "uv.lock").write_text(f'[[package]]\nname = "{lock}"\n')
    return folder


def named(release: Path) -> str:
    return key(release, reader(release), b"")


def test_a_changed_lock_is_another_environment(tmp_path: Path):
    assert named(project(tmp_path / "a")) != named(project(tmp_path / "b", lock="other"))


def test_what_the_project_file_says_of_other_things_shares_the_environment(tmp_path: Path):
    assert named(project(tmp_path / "a")) == named(project(tmp_path / "b", version="2", description="new"))


def test_another_python_that_the_project_requires_is_another_environment(tmp_path: Path):
    assert named(project(tmp_path / "a")) != named(project(tmp_path / "b", **{"requires-python": ">=3.12"}))


@pytest.mark.parametrize("source", ["uv.lock", "requirements.txt", "pyproject.toml"])
def test_settings_of_uv_in_the_app_bear_on_the_environment(tmp_path: Path, source: str):
    release = project(tmp_path / "a")
    if source != "uv.lock":
        (release / "uv.lock").unlink()
    if source == "requirements.txt":
        (release / source).write_text("flask\n")
    before = named(release)
    with (release / "pyproject.toml").open("a") as file:
        file.write('[tool.uv]\nresolution = "lowest"\n')
    changed = named(release)
    (release / "uv.toml").write_text('resolution = "highest"\n')
    assert len({before, changed, named(release)}) == 3


def test_uvs_words_lose_passwords_and_their_middle():
    said = "error: cannot fetch https://me:hunter2@index.test/simple\n" + "  sha256:00\n" * 50 + "  cause: it is so\n"
    lines = shortened(said).splitlines()
    assert lines[0] == "error: cannot fetch https://***@index.test/simple"
    assert lines[-1] == "  cause: it is so"
    assert len(lines) < 20
