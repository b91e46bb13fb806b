from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.setup import debian_packages, plugin, venv, workflows
from tools.setup.files import digest
from tools.setup.paths import ROOT
from tools.setup.report import SetupError

OFFLINE = {"source": "ours", "digest": "d1"}
UPSTREAM = {"source": "upstream", "digest": "d1"}


@pytest.mark.parametrize(
    ("installed", "record", "sources", "retry", "action"),
    [
        (False, {}, "d1", False, "download"),
        (True, {}, "d1", True, "keep"),
        (True, UPSTREAM, "d2", True, "keep"),
        (False, UPSTREAM, "d1", False, "download"),
        (True, OFFLINE, "d1", False, "keep"),
        (True, OFFLINE, "d2", False, "install offline"),
        (False, OFFLINE, "d1", False, "install offline"),
        (True, OFFLINE, "d1", True, "download"),
    ],
)
def test_the_official_plugin_is_tried_first_and_after_a_failure_only_by_make_setup(
    installed: bool, record: dict[str, str], sources: str, retry: bool, action: str
):
    assert plugin.decide(installed=installed, record=record, sources=sources, retry=retry) == action


@pytest.mark.parametrize(
    ("version_line", "expected"),
    [
        ("uv 0.13.9 (x86_64)", True),
        ("uv 0.5.0", True),
        ("uv 0.4.30", False),
        ("", False),
        ("uv unknown", False),
    ],
)
def test_a_uv_on_path_is_used_if_it_is_new_enough(version_line: str, expected: bool):
    assert venv.new_enough(version_line) is expected


def test_installed_development_tools_stay_when_only_the_runtime_is_needed():
    runtime, tools = venv.RUNTIME, venv.DEVELOPMENT
    assert venv.files_to_install(False, {}) == [runtime]
    assert venv.files_to_install(True, {}) == [runtime, tools]
    assert venv.files_to_install(False, {tools.name: "any"}) == [runtime, tools]


def test_the_virtual_environment_is_current_if_it_was_made_from_the_same_files():
    runtime, tools = venv.RUNTIME, venv.DEVELOPMENT
    record = {runtime.name: digest([runtime])}
    assert venv.is_current(False, record)
    assert not venv.is_current(True, record)
    assert venv.is_current(True, record | {tools.name: digest([tools])})
    assert not venv.is_current(False, {runtime.name: "older"})


def test_the_requirements_are_locked_with_hashes_and_name_no_index():
    for file in (venv.RUNTIME, venv.DEVELOPMENT, venv.POLICY, venv.UV_LOCK):
        text = file.read_text()
        requirements = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
        assert requirements
        assert text.count("--hash=sha256:") >= len(requirements)
        assert all(line.endswith("\\") for line in requirements), f"a requirement of {file.name} has no hash"
        assert "://" not in text


def test_only_missing_packages_are_installed():
    needs = [("nft", "nftables"), ("ip", "iproute2")]
    assert debian_packages.missing_packages(needs, lambda program: program == "ip") == ["nftables"]


def test_without_root_the_error_says_how_to_install_the_missing_packages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(debian_packages.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(debian_packages.shutil, "which", lambda name, path=None: "/usr/bin/apt-get")
    with pytest.raises(SetupError, match="sudo apt-get install nftables iproute2"):
        debian_packages.install_packages([("nft", "nftables"), ("ip", "iproute2")], {}, lambda program: False)


def test_without_apt_the_error_names_the_missing_programs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(debian_packages.shutil, "which", lambda name, path=None: None)
    with pytest.raises(
        SetupError, match=r"Missing on this computer: nft\. Install them; Debian's packages are: nftables"
    ):
        debian_packages.install_packages([("nft", "nftables")], {}, lambda program: False)


def test_without_go_the_workflows_go_unchecked_but_not_in_ci(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(workflows, "ACTIONLINT", tmp_path / "actionlint")
    monkeypatch.setattr(workflows, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(workflows, "find_go", lambda _environ: None)
    assert workflows.check({}) == 0
    assert "the workflows were not checked. There is no Go" in capfd.readouterr().err
    with pytest.raises(SetupError, match=r"Install Go 1\.25"):
        workflows.check({"CI": "true"})


def test_with_an_older_python_the_error_says_which_version_is_needed():
    code = "import sys; sys.version_info = (3, 9, 2); import tools.setup"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "needs Python 3.11 or newer" in result.stderr
