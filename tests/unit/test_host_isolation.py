"""Where packages are installed and built: their unit, uv's cache, and who owns the result."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from host import systemd
from host.errors import ReleaseError
from host.packages import isolation, ownership, uv, uv_cache, venv
from host.paths import Paths
from tests.unit.test_host_venv import FakeUv

SANDBOX = "# a comment\nNoNewPrivileges=yes\nIPAddressDeny=169.254.0.0/16\n"


class SystemdRun:
    """Replaces systemd-run: records its properties, the command and the file with the variables."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.words: list[str] = []
        self.properties: dict[str, list[str]] = {}
        self.environment, self.mode = "", 0
        self.is_slow = False
        self.stopped: list[str] = []
        for folder in (self.paths.build_sandbox.parent, self.paths.runtime):
            folder.mkdir(parents=True)
        self.paths.build_sandbox.write_text(SANDBOX)
        patch.setattr(isolation, "Paths", lambda: self.paths)
        patch.setattr(uv, "Paths", lambda: self.paths)
        patch.setattr(subprocess, "run", self.run)
        patch.setattr(systemd, "systemctl", lambda *words: self.stopped.append(" ".join(words)))

    def run(self, words: list[str], *, timeout: float, **_: Any) -> subprocess.CompletedProcess[str]:
        self.words = words
        for name, _separator, value in (
            word.removeprefix("--property=").partition("=") for word in words if "--prop" in word
        ):
            self.properties.setdefault(name, []).append(value)
        file = Path(self.properties["EnvironmentFile"][0])
        self.environment, self.mode = file.read_text(), stat.S_IMODE(file.parent.stat().st_mode)
        if self.is_slow:
            raise subprocess.TimeoutExpired(words, timeout)
        return subprocess.CompletedProcess(words, 0, "done", "")

    def command(self) -> list[str]:
        return self.words[self.words.index("--") + 1 :]


@pytest.fixture
def systemd_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemdRun:
    return SystemdRun(tmp_path, monkeypatch)


def test_packages_are_installed_in_a_sandboxed_unit_that_ends_with_all_its_processes(systemd_run: SystemdRun):
    own = systemd_run.paths.venvs / "v1"
    assert uv.run(["/opt/uv", "pip"], Path("/opt/release"), writable=own) == "done"
    properties = systemd_run.properties
    assert systemd_run.command() == ["/opt/uv", "pip"]
    assert (properties["User"], properties["WorkingDirectory"]) == (["gantry-build"], ["/opt/release"])
    assert (properties["NoNewPrivileges"], properties["IPAddressDeny"]) == (["yes"], ["169.254.0.0/16"])
    assert properties["KillSignal"] == ["SIGKILL"]
    assert {"--wait", "--collect", "--pipe"} <= {*systemd_run.words}


def test_only_uv_itself_may_write_to_its_cache_and_link_to_files_of_root(systemd_run: SystemdRun):
    own, cache = systemd_run.paths.venvs / "v1", systemd_run.paths.uv_cache
    uv.run(["uv"], Path("/"), writable=own)
    assert systemd_run.properties["ReadWritePaths"] == [str(own), str(cache)]
    assert systemd_run.properties["AmbientCapabilities"] == ["CAP_FOWNER"]
    systemd_run.properties.clear()
    uv.run(["uv"], Path("/"), writable=own, private_cache=own / "cache")
    assert systemd_run.properties["ReadWritePaths"] == [str(own)]
    assert "AmbientCapabilities" not in systemd_run.properties
    assert f'UV_CACHE_DIR="{own}/cache"' in systemd_run.environment


def test_a_login_is_only_in_a_file_of_root_that_is_removed(systemd_run: SystemdRun):
    uv.run(["uv", "$HOME"], Path("/"), {"UV_INDEX_A_PASSWORD": 'hunter"2'}, writable=Path("/v"))
    assert 'UV_INDEX_A_PASSWORD="hunter\\"2"\n' in systemd_run.environment
    assert systemd_run.mode == 0o700
    assert "hunter" not in " ".join(systemd_run.words)
    assert list(systemd_run.paths.runtime.iterdir()) == []
    assert systemd_run.command() == ["uv", "$$HOME"], "systemd would replace the variable"


def test_an_installation_that_takes_too_long_is_ended(systemd_run: SystemdRun):
    systemd_run.is_slow = True
    with pytest.raises(ReleaseError, match="took more than 600 s"):
        uv.run(["uv"], Path("/"), writable=Path("/v"))
    unit = next(word for word in systemd_run.words if word.startswith("--unit=")).removeprefix("--unit=")
    assert systemd_run.stopped == [f"stop {unit}"]


def test_packages_with_wheels_are_installed_without_their_code_and_others_are_built_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake = FakeUv(tmp_path, monkeypatch)
    fake.install(fake.release("a", requirements="flask\n"))
    assert installs_of(fake) == [("--no-build", True)]
    # Before anything else runs: the environment has the cache's own files.
    assert fake.commands[[words[-1] for words in fake.commands].index("--no-build") + 1] == ["protect"]
    fake.refuse = "--no-build"
    fake.install(fake.release("b", requirements="docopt\n"))
    assert installs_of(fake)[1:] == [("--no-build", True), ("requirements.txt", False)]
    # Gunicorn comes last. Then the code of the app's packages may run when Python starts.
    assert {is_alone for words, is_alone in fake.runs if "gunicorn.txt" in words} == {False}


def installs_of(fake: FakeUv) -> list[tuple[str, bool]]:
    """The last word of each installation of requirements.txt, and whether uv ran without code of packages."""
    return [(words[-1], is_alone) for words, is_alone in fake.runs if "requirements.txt" in words]


def test_a_registry_out_of_reach_is_not_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = FakeUv(tmp_path, monkeypatch)
    fake.refuse, fake.error = "requirements.txt", "error: Request failed after 3 retries"
    with pytest.raises(ReleaseError, match="Request failed"):
        fake.install(fake.release("a", requirements="flask\n"))
    assert [words[-1] for words in fake.commands if "requirements.txt" in words] == ["--no-build"]


def test_a_private_copy_of_the_cache_shares_unpacked_packages_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(uv_cache.shutil, "chown", lambda *_: None)
    monkeypatch.setattr(uv_cache, "protect", lambda _: None)
    paths = Paths(tmp_path)
    for name in ("archive-v0/a/module.py", "simple-v28/index"):
        file = paths.uv_cache / name
        file.parent.mkdir(parents=True)
        file.write_text("shared")
    with uv_cache.private_copy(paths, tmp_path / "copy") as copy:
        (copy / "simple-v28/index").write_text("changed")
        assert (copy / "archive-v0/a/module.py").samefile(paths.uv_cache / "archive-v0/a/module.py")
    assert (paths.uv_cache / "simple-v28/index").read_text() == "shared"
    assert not copy.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_uv_and_what_earlier_versions_installed_belong_to_root_after_a_configuration(tmp_path: Path):
    paths = Paths(tmp_path)
    for folder in (paths.uv.parent, paths.venvs / "old/bin", paths.venvs / "forged", paths.pythons / "cpython-3.9/bin"):
        folder.mkdir(parents=True)
    for file in (paths.uv, paths.venvs / "old/bin/flask", paths.pythons / "cpython-3.9/bin/python3"):
        file.touch()
    for path in (*paths.uv.parents[1].rglob("*"), *paths.venvs.rglob("*"), *paths.pythons.rglob("*")):
        os.chown(path, 54321, 54321)
    os.chown(paths.uv.parents[1], 54321, 54321)
    (paths.venvs / "old/.complete").touch()  # as root, when it was complete
    (paths.venvs / "forged/.complete").touch()
    os.chown(paths.venvs / "forged/.complete", 54321, 54321)
    ownership.take_over(paths)
    owners = {path.stat().st_uid for path in (*paths.uv.parents[1].rglob("*"), *(paths.venvs / "old").rglob("*"))}
    assert owners | {path.stat().st_uid for path in paths.pythons.rglob("*")} == {0}
    assert [mark.name for mark in paths.venv_marks.iterdir()] == ["old"]


def test_the_code_of_a_package_cannot_mark_its_environment_as_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = FakeUv(tmp_path, monkeypatch)
    release = fake.release("a", requirements="flask\n")
    name, _ = fake.install(release)
    (fake.paths.venv_marks / name).unlink()  # the run was killed
    (fake.paths.venvs / name / ".complete").touch()
    assert not venv.is_built(fake.paths, release)
    assert fake.install(release)[1] != "unchanged"
