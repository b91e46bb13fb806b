"""Debian packages for apps: which are installed, when apt is asked, and how its failures are explained."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from host.errors import ReleaseError
from host.packages import aptfile, system_packages
from host.paths import Paths


class FakeApt:
    """Replaces apt: records the commands, and answers each with the next of ``answers`` (standard error texts)."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        self.commands: list[list[str]] = []
        self.answers: list[str] = []
        self.policies: list[bool] = []
        self.release = root / "release"
        self.release.mkdir()
        (self.release / "requirements.txt").write_text("flask\n")

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.commands.append([word for word in command if not word.startswith("-")])
        self.policies.append(self.paths.service_policy.exists())
        answer = self.answers.pop(0) if self.answers else ""
        return subprocess.CompletedProcess(command, 100 if answer else 0, "", answer)

    def ensure(self, apt_packages: str = "", aptfile: str = "") -> list[list[str]]:
        """The commands that these lists cause."""
        self.commands.clear()
        self.paths.apt_packages.parent.mkdir(parents=True, exist_ok=True)
        self.paths.apt_packages.write_text(apt_packages)
        (self.release / "Aptfile").write_text(aptfile)
        system_packages.ensure(self.paths, self.release, run=self)
        return self.commands


@pytest.fixture
def apt(tmp_path: Path) -> FakeApt:
    return FakeApt(tmp_path)


def test_the_packages_of_the_setting_and_of_the_aptfile_are_installed_once(apt: FakeApt):
    assert apt.ensure("ffmpeg\n", "libmagic1\nffmpeg\n") == [["apt-get", "install", "ffmpeg", "libmagic1"]]
    assert apt.ensure("ffmpeg\n", "libmagic1\n") == []
    assert apt.ensure("ffmpeg\n", "libmagic1\ngdal-bin\n") == [["apt-get", "install", "gdal-bin"]]


def test_an_app_without_system_packages_prints_nothing(apt: FakeApt, capsys: pytest.CaptureFixture[str]):
    apt.ensure()
    assert capsys.readouterr().out == ""


def test_packages_stay_when_the_list_shrinks_which_is_said_once(apt: FakeApt, capsys: pytest.CaptureFixture[str]):
    apt.ensure("ffmpeg\nzip\n")
    capsys.readouterr()
    assert apt.ensure("zip\n") == []
    assert "no longer listed, but still installed: ffmpeg" in capsys.readouterr().out
    apt.ensure("zip\n")
    assert "ffmpeg" not in capsys.readouterr().out
    assert apt.ensure("zip\nffmpeg\n") == []


def test_no_service_starts_while_apt_runs_and_the_servers_own_policy_stays(apt: FakeApt):
    apt.paths.service_policy.parent.mkdir(parents=True)
    apt.ensure("redis\n")
    assert (apt.policies, apt.paths.service_policy.exists()) == ([True], False)
    apt.paths.service_policy.write_bytes(system_packages.POLICY)  # a run was killed
    apt.ensure("redis\n")
    assert not apt.paths.service_policy.exists()
    apt.paths.service_policy.write_text("the owner's")
    apt.ensure("memcached\n")
    assert apt.paths.service_policy.read_text() == "the owner's"


def test_the_lists_are_fetched_if_a_package_is_not_found(apt: FakeApt):
    apt.answers = ["E: Unable to locate package ffmpeg"]
    assert [command[1] for command in apt.ensure("ffmpeg\n")] == ["install", "update", "install"]


def test_packages_that_a_killed_apt_left_are_finished_first(apt: FakeApt):
    apt.answers = ["E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."]
    assert [command[0] for command in apt.ensure("ffmpeg\n")] == ["apt-get", "dpkg", "apt-get"]


@pytest.mark.parametrize(
    ("package", "remedy"),
    [("ffmpegg", "apt-cache search ffmpegg"), ("libgl1-mesa-glx", "write libgl1")],
)
def test_an_unknown_package_is_named_with_the_remedy_and_tried_again_by_the_next_release(
    apt: FakeApt, package: str, remedy: str
):
    apt.answers = [
        f"E: Unable to locate package {package}",
        "",
        f"E: Package '{package}' has no installation candidate",
    ]
    with pytest.raises(ReleaseError, match=f"Debian has no package '{package}'.*{remedy}"):
        apt.ensure(f"{package}\n")
    assert apt.ensure(f"{package}\n") == [["apt-get", "install", package]]


def test_other_failures_show_the_last_lines_of_apt(apt: FakeApt):
    apt.answers = ["E: Failed to fetch", "", "E: Failed to fetch"]
    with pytest.raises(ReleaseError, match="can't install ffmpeg:\nE: Failed to fetch"):
        apt.ensure("ffmpeg\n")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "-e git+https://git.test/lib.git#egg=lib\n"),
        ("requirements.txt", "lib @ git+https://git.test/lib.git\n"),
        ("Pipfile.lock", '{"default": {"lib": {"git": "https://git.test/lib.git", "ref": "c0ffee"}}}'),
        ("poetry.lock", '[[package]]\nname = "lib"\n[package.source]\ntype = "git"\n'),
        ("pdm.lock", '[[package]]\nname = "lib"\ngit = "https://git.test/lib.git"\n'),
        ("pylock.toml", '[[packages]]\nname = "lib"\n[packages.vcs]\ntype = "git"\n'),
    ],
)
def test_git_is_installed_for_packages_of_git_repositories(
    apt: FakeApt, name: str, text: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(system_packages.shutil, "which", lambda _: None)
    (apt.release / "pyproject.toml").write_text('[project]\nname = "shop"\ndependencies = ["lib"]\n')
    (apt.release / "Pipfile").write_text('[packages]\nlib = "*"\n')
    assert apt.ensure() == []
    (apt.release / name).write_text(text)
    assert apt.ensure() == [["apt-get", "install", "git"]]


def test_an_aptfile_is_read_as_heroku_does():
    assert aptfile.packages(b"\xef\xbb\xbf# tools\nffmpeg # video\n\nlibmagic1 ffmpeg\r\nzip=3.0-15\nvim=2:9.*\n") == [
        "ffmpeg", "libmagic1", "zip=3.0-15", "vim=2:9.*"
    ]  # fmt: skip


def test_all_unusable_lines_of_an_aptfile_are_named_at_once():
    text = b"ffmpeg\nhttps://files.test/a.deb\n:repo:deb https://files.test trixie main\n--purge\nFFmpeg\n"
    with pytest.raises(ValueError, match="must be the name") as error:
        aptfile.packages(text)
    for part in (
        "line 2: 'https://files.test/a.deb' is a file",
        "line 3: ':repo:deb https",
        "line 4: '--purge'",
        "line 5",
    ):
        assert part in str(error.value)
