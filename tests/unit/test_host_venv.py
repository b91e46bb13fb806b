from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from host.errors import ReleaseError
from host.packages import isolation, package_install, pythons, uv_cache, venv
from host.packages import uv as uv_program
from host.packages.package_install import reader
from host.packages.uv import shortened
from host.packages.venv import key
from host.paths import Paths

HASHED = "flask==3.1.3 --hash=sha256:00\n"
ENVIRONMENT = {"python_full_version": "3.13.5", "python_version": "3.13", "sys_platform": "linux"}


class FakeUv:
    """Replaces uv and records its commands, and the variables of the last one.

    ``gunicorn`` is the version that the app's own requirements install. A command that contains ``refuse`` fails.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.commands: list[list[str]] = []
        self.gunicorn = ""
        self.refuse: str | None = None
        self.variables: dict[str, str] = {}
        self.error = "no route to the registry"
        # Whether uv ran without code of packages, for each of its commands.
        self.runs: list[tuple[list[str], bool]] = []
        for folder in (self.paths.releases, self.paths.venvs):
            folder.mkdir(parents=True)
        self.paths.gunicorn_requirements.write_text("gunicorn==27.0.1\n")
        monkeypatch.setattr(isolation, "run", self.run)
        monkeypatch.setattr(isolation, "stop_all", lambda: self.commands.append(["stop all"]))
        monkeypatch.setattr(uv_cache, "private_copy", lambda _, copy: nullcontext(copy))
        monkeypatch.setattr(uv_cache, "protect", lambda _: self.commands.append(["protect"]))
        monkeypatch.setattr(venv.pwd, "getpwnam", lambda _: SimpleNamespace(pw_uid=7))
        monkeypatch.setattr(venv.uv, "end_processes_of", lambda user: self.commands.append(["end", str(user)]))
        monkeypatch.setattr(package_install.shutil, "chown", lambda *_: None)

    def run(
        self, command: Sequence[str], *, variables: Mapping[str, str], may_link: bool, **_: Any
    ) -> subprocess.CompletedProcess[str]:
        words = [Path(word).name if word.startswith("/") else word for word in command]
        self.commands.append(words)
        self.runs.append((words, may_link))
        self.variables = dict(variables)
        if self.refuse and self.refuse in words:
            error = f"{self.error} {variables.get('TOKEN', '')}"
            return subprocess.CompletedProcess(command, 1, "", error)
        if self.gunicorn and "requirements.txt" in words:
            folder = Path(command[command.index("--python") + 1]).parents[1]
            (folder / "bin").mkdir()
            (folder / "bin/gunicorn").touch()
            (folder / f"lib/python3.13/site-packages/gunicorn-{self.gunicorn}.dist-info").mkdir(parents=True)
        # Only the program that prints the environment of Python has an output that matters.
        return subprocess.CompletedProcess(command, 0, json.dumps(ENVIRONMENT) if "-c" in words else "", "")

    def release(self, name: str, **files: str) -> Path:
        folder = self.paths.releases / name
        folder.mkdir()
        for file, text in files.items():
            (folder / f"{file}.txt").write_text(text)
        return folder

    def install(self, release: Path, **variables: str) -> tuple[str, str]:
        self.commands.clear()
        folder, note = venv.ensure(self.paths, release, variables)
        return folder.name, note


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    return FakeUv(tmp_path, monkeypatch)


def test_two_releases_with_the_same_requirements_share_a_virtual_environment(uv: FakeUv):
    first = uv.install(uv.release("a", requirements="flask\n"))
    second = uv.install(uv.release("b", requirements="flask\n"))
    assert (first[0], second) == (second[0], (first[0], "unchanged"))
    assert uv.commands == []


def test_the_build_users_processes_are_ended_before_anything_is_installed(uv: FakeUv):
    uv.install(uv.release("a", requirements="flask\n"))
    assert uv.commands[:2] == [["stop all"], ["end", "7"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes of another user")
def test_all_processes_of_a_user_are_killed_and_no_others():
    # Ids without a user, so that no other process is killed.
    with (
        subprocess.Popen(["sleep", "60"], user=54321) as one,
        subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 60 & wait"], user=54321) as two,
        subprocess.Popen(["sleep", "60"], user=54322) as other,
    ):
        ending = threading.Thread(target=uv_program.end_processes_of, args=(54321,))
        ending.start()
        assert (one.wait(10), two.wait(10)) == (-signal.SIGKILL, -signal.SIGKILL)
        ending.join(10)
        assert (ending.is_alive(), other.poll()) == (False, None)
        other.kill()


def test_another_version_of_gantrys_gunicorn_makes_a_new_virtual_environment(uv: FakeUv):
    release = uv.release("a", requirements="flask\n")
    first = uv.install(release)
    uv.paths.gunicorn_requirements.write_text("gunicorn==28\n")
    assert uv.install(release)[0] != first[0]


@pytest.mark.parametrize("line", ["-r base.txt", "--requirement=base.txt", "-c base.txt # pins"])
def test_a_change_in_a_file_that_the_requirements_name_makes_a_new_virtual_environment(uv: FakeUv, line: str):
    first = uv.release("a", requirements=f"flask\n{line}\n", base="click==8.1\n")
    second = uv.release("b", requirements=f"flask\n{line}\n", base="click==8.2\n")
    assert uv.install(first)[0] != uv.install(second)[0]


@pytest.mark.parametrize(
    "line",
    ["./lib", "lib/", "wheels/lib-1.whl", "-e .", "--editable=lib", "-f wheels", "--find-links=wheels", "lib @ ./lib"],
)
def test_a_release_with_packages_of_its_own_shares_no_virtual_environment(uv: FakeUv, line: str):
    first, second = (uv.release(name, requirements=f"{line}\n") for name in "ab")
    assert uv.install(first)[0] != uv.install(second)[0]


@pytest.mark.parametrize(
    "line",
    [
        "flask>=3 # see docs/flask", "-e git+https://git.test/lib", "-f https://index.test/wheels",
        "lib @ git+ssh://git@git.test/lib.git", "https://index.test/lib-1.whl", "--index-url https://index.test/simple",
    ],
)  # fmt: skip
def test_releases_with_packages_from_elsewhere_share_a_virtual_environment(uv: FakeUv, line: str):
    first, second = (uv.release(name, requirements=f"{line}\n") for name in "ab")
    assert uv.install(first)[0] == uv.install(second)[0]


def test_a_patch_release_of_the_servers_python_keeps_the_virtual_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    release = project(tmp_path / "a")
    before = key_of(release)
    monkeypatch.setattr(pythons.sys, "version", "another build")
    assert key_of(release) == before
    monkeypatch.setattr(pythons.sys, "version_info", SimpleNamespace(major=3, minor=99, micro=0))
    assert key_of(release) != before


def test_requirements_may_name_themselves_or_a_url(uv: FakeUv):
    text = "-r requirements.txt\n-c https://example.org/pins.txt\nflask\n"
    assert uv.install(uv.release("a", requirements=text))[1] == "installed from requirements.txt, 0 packages"


def test_the_error_names_a_missing_requirements_file(uv: FakeUv):
    with pytest.raises(ReleaseError, match=r"base\.txt"):
        uv.install(uv.release("a", requirements="-r base.txt\n"))


def test_one_hash_makes_hashes_required_for_all_packages(uv: FakeUv):
    uv.install(uv.release("a", requirements=HASHED))
    command = next(words for words in uv.commands if "requirements.txt" in words)
    assert "--require-hashes" in command
    uv.install(uv.release("b", requirements="flask\n"))
    command = next(words for words in uv.commands if "requirements.txt" in words)
    assert "--require-hashes" not in command


def test_gunicorn_comes_from_the_cache_or_if_that_fails_from_the_registry(uv: FakeUv):
    release = uv.release("a", requirements="flask\n")
    uv.install(release)
    assert ["--offline" in words for words in uv.commands if "gunicorn.txt" in words] == [True]
    uv.refuse = "--offline"
    uv.install(uv.release("b", requirements="bottle\n"))
    assert ["--offline" in words for words in uv.commands if "gunicorn.txt" in words] == [True, False]


def test_the_apps_own_gunicorn_is_used_with_a_warning_if_it_is_old(uv: FakeUv):
    uv.gunicorn = "27.0.1"
    assert uv.install(uv.release("a", requirements="gunicorn\n"))[1] == "installed from requirements.txt, 1 package"
    assert not [words for words in uv.commands if "gunicorn.txt" in words]
    uv.gunicorn = "21.2.0"
    note = uv.install(uv.release("b", requirements="gunicorn==21.2.0\n"))[1]
    assert "gunicorn 21.2.0 may cut requests off" in note


def test_a_failed_installation_leaves_no_folder_and_the_error_has_uvs_reason(uv: FakeUv):
    uv.refuse = "requirements.txt"
    with pytest.raises(ReleaseError, match="no route to the registry"):
        uv.install(uv.release("a", requirements="flask\n"))
    assert list(uv.paths.venvs.iterdir()) == []


def project(folder: Path, lock: str = "locked", **keys: str) -> Path:
    """A release with uv.lock and pyproject.toml."""
    folder.mkdir(exist_ok=True)
    keys = {"name": "shop", "version": "1", "requires-python": ">=3.11", **keys}
    table = "".join(f'{name} = "{value}"\n' for name, value in keys.items())
    (folder / "pyproject.toml").write_text(f"[project]\n{table}")
    (folder / "uv.lock").write_text(f'[[package]]\nname = "{lock}"\n')
    return folder


def key_of(release: Path) -> str:
    return key(release, reader(release), b"")


def test_a_changed_lock_makes_a_new_virtual_environment(tmp_path: Path):
    assert key_of(project(tmp_path / "a")) != key_of(project(tmp_path / "b", lock="other"))


def test_a_changed_version_or_description_of_the_app_keeps_its_virtual_environment(tmp_path: Path):
    assert key_of(project(tmp_path / "a")) == key_of(project(tmp_path / "b", version="2", description="new"))


def test_a_changed_requires_python_makes_a_new_virtual_environment(tmp_path: Path):
    assert key_of(project(tmp_path / "a")) != key_of(project(tmp_path / "b", **{"requires-python": ">=3.12"}))


@pytest.mark.parametrize("source", ["uv.lock", "requirements.txt", "pyproject.toml"])
def test_changed_settings_of_uv_make_a_new_virtual_environment(tmp_path: Path, source: str):
    release = project(tmp_path / "a")
    if source != "uv.lock":
        (release / "uv.lock").unlink()
    if source == "requirements.txt":
        (release / source).write_text("flask\n")
    before = key_of(release)
    with (release / "pyproject.toml").open("a") as file:
        file.write('[tool.uv]\nresolution = "lowest"\n')
    changed = key_of(release)
    (release / "uv.toml").write_text('resolution = "highest"\n')
    assert len({before, changed, key_of(release)}) == 3


def test_hints_are_complete_and_wrapped_and_other_long_lines_are_marked_as_cut():
    hint = "      hint: " + "x" * 1500
    lines = ["error: no", *["  sha256:00"] * 30, hint, "      and more of it", "        deeper", "", "      not this"]
    found = shortened("\n".join([*lines, *["  sha256:00"] * 30, "y" * 400])).splitlines()
    assert "".join(found[found.index("  ...") + 1 :][:2]) == hint
    assert found[found.index("  ...") + 3 :][:2] == ["      and more of it", "        deeper"]
    assert "      not this" not in found
    assert found[-1] == "y" * 300 + " …"
    assert max(map(len, found)) <= 1000


def test_passwords_and_the_middle_of_uvs_output_are_removed():
    output = "error: cannot fetch https://me:hunter2@index.test/simple\n" + "  sha256:00\n" * 50 + "  cause: it is so\n"
    lines = shortened(output).splitlines()
    assert lines[0] == "error: cannot fetch https://***@index.test/simple"
    assert lines[-1] == "  cause: it is so"
    assert len(lines) < 20


def test_uv_gets_the_variables_of_the_app_that_the_requirements_name(uv: FakeUv):
    uv.refuse = "--requirement"
    release = uv.release("a", requirements="lib @ git+https://${TOKEN}@git.test/lib\n")
    with pytest.raises(ReleaseError) as error:
        uv.install(release, TOKEN="hunter2-hunter2", SECRET_KEY="x")
    assert "no route to the registry [TOKEN]" in error.value.message
    assert uv.variables["TOKEN"] == "hunter2-hunter2"
    assert "SECRET_KEY" not in uv.variables


def test_a_variable_that_the_requirements_name_and_the_app_lacks_is_refused_with_the_command_that_sets_it(uv: FakeUv):
    release = uv.release("a", requirements="lib @ git+https://${TOKEN}@git.test/lib\n")
    with pytest.raises(ReleaseError) as error:
        uv.install(release)
    assert error.value.message == "requirements.txt names ${TOKEN}, and the app has no such variable"
    assert error.value.advice == "Set it: pulumi config set --secret --path env.TOKEN <value>"


def test_the_app_has_no_say_in_what_root_learns_about_python(uv: FakeUv):
    # While this program runs, uv's cache can be written to. A platform.py of the app must not be imported.
    release = uv.paths.releases / "a"
    release.mkdir()
    (release / "Pipfile").write_text('[packages]\nflask = "*"\n')
    pin = {"flask": {"version": "==3.1.3", "hashes": ["sha256:00"]}}
    (release / "Pipfile.lock").write_text(json.dumps({"_meta": {}, "default": pin}))
    uv.install(release)
    assert [(words[1:3], may_link) for words, may_link in uv.runs if "-c" in words] == [(["-I", "-c"], True)]


def test_a_list_for_uv_replaces_a_link_of_the_build_user(uv: FakeUv, tmp_path: Path):
    (tmp_path / "of-root").write_text("root")
    (tmp_path / "list.txt").symlink_to("of-root")
    package_install._write(tmp_path / "list.txt", "flask")  # pyright: ignore[reportPrivateUsage]
    assert ((tmp_path / "list.txt").read_text(), (tmp_path / "of-root").read_text()) == ("flask", "root")


def test_the_packages_are_read_from_the_release_alone(tmp_path: Path):
    (tmp_path / "release").mkdir()
    (tmp_path / "secret.txt").write_text("hunter2")
    (tmp_path / "release/link.txt").symlink_to("../secret.txt")
    (tmp_path / "release/base.txt").write_text("flask")
    read = reader(tmp_path / "release")
    assert read("base.txt") == b"flask"
    assert [read(name) for name in ("link.txt", "../secret.txt", str(tmp_path / "secret.txt"))] == [None] * 3
