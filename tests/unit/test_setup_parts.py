from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools.setup import debian_packages, engine_env, plugin, programs, targets, venv, workflows
from tools.setup.files import atomic_folder, digest, exclusive, read_record, write_record
from tools.setup.paths import ENGINE, ROOT, VENV
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


def test_a_new_folder_replaces_the_old_one_when_it_is_complete(tmp_path: Path):
    final = tmp_path / "venv"
    for content in ("one", "two"):
        with atomic_folder(final) as folder:
            (folder / "file").write_text(content)
        assert (final / "file").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["venv"]


def test_after_a_failure_the_old_folder_stays_and_the_next_try_starts_with_an_empty_one(tmp_path: Path):
    final = tmp_path / "venv"
    with atomic_folder(final) as folder:
        (folder / "file").write_text("whole")

    def fail() -> None:
        with atomic_folder(final) as folder:
            (folder / "half").write_text("")
            raise SetupError("interrupted")

    with pytest.raises(SetupError):
        fail()
    assert (final / "file").read_text() == "whole"
    leftover = final.with_name(".venv.new")
    assert not leftover.exists()
    (leftover / "half").mkdir(parents=True)
    with atomic_folder(final) as folder:
        assert list(folder.iterdir()) == []


def test_an_incomplete_record_counts_as_none(tmp_path: Path):
    record = tmp_path / "record.json"
    write_record(record, {"key": "value"})
    assert read_record(record) == {"key": "value"}
    record.write_text('{"key": "va')
    assert read_record(record) == {}


def test_a_digest_depends_on_where_its_parts_end(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("b")
    assert digest(["a", file]) == digest(["a", "b"])
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_a_second_set_up_waits_for_the_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    order: list[str] = []

    def second() -> None:
        with exclusive(tmp_path / "lock"):
            order.append("second")

    with exclusive(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "another set-up is running" in capfd.readouterr().err


def test_a_long_program_reports_its_progress(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    monkeypatch.setattr(programs, "PROGRESS_SECONDS", 0.1)
    programs.run_logged("sleeping", ["sleep", "0.3"])
    assert "gantry: sleeping: 0:00" in capfd.readouterr().err


def test_a_failed_program_shows_the_end_of_its_output_and_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    with pytest.raises(SetupError) as error:
        programs.run_logged("making it", ["sh", "-c", "seq 100; exit 3"], remedy="Mend it.")
    assert "  86\n" in str(error.value)
    assert "  85\n" not in str(error.value)
    assert str(error.value).endswith("  100\nMend it.")


def test_a_program_over_its_time_limit_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    with pytest.raises(SetupError, match=r"took longer than 0 s|took longer"):
        programs.run_logged("hanging", ["sleep", "60"], time_limit=0.2)


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


def test_a_local_stack_needs_root_and_the_error_says_the_command():
    assert targets.root_fault("up", "dev", local=True, user=0) is None
    assert targets.root_fault("up", "prod", local=False, user=1000) is None
    assert str(targets.root_fault("up", "dev", local=True, user=1000)).endswith("Run: sudo make up")
    assert str(targets.root_fault("destroy", "two", local=True, user=1000)).endswith("sudo make destroy STACK=two")


def test_whether_a_stack_is_local_is_read_from_its_configuration(tmp_path: Path):
    (tmp_path / "Pulumi.prod.yaml").write_text("config:\n  gantry:target: aws\n")
    assert not targets.is_local("org/gantry/prod", tmp_path)
    assert targets.is_local("dev", tmp_path)


def test_without_go_the_workflows_go_unchecked_but_not_in_ci(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(workflows, "ACTIONLINT", tmp_path / "actionlint")
    monkeypatch.setattr(workflows, "find_go", lambda _environ: None)
    assert workflows.check({}) == 0
    assert "the workflows were not checked. There is no Go" in capfd.readouterr().err
    with pytest.raises(SetupError, match=r"Install Go 1\.25"):
        workflows.check({"CI": "true"})


def test_the_policy_pack_checks_a_clouds_resources_before_they_are_created():
    pack = ["--policy-pack", str(ROOT / "policy/pack")]
    assert targets.words_of("preview", "prod", "aws") == ["preview", "--diff", "--stack", "prod", *pack]
    assert targets.words_of("up", "prod", "digitalocean") == ["up", "--yes", "--stack", "prod", *pack]
    assert targets.words_of("destroy", "prod", "aws") == ["destroy", "--yes", "--stack", "prod"]
    assert targets.words_of("up", "dev", "local") == ["up", "--yes", "--skip-preview", "--stack", "dev"]


def test_a_destroy_on_digitalocean_first_refreshes_the_state():
    assert targets.words_of("destroy", "prod", "digitalocean") == ["destroy", "--yes", "--refresh", "--stack", "prod"]
    assert targets.words_of("destroy", "dev", "local") == ["destroy", "--yes", "--skip-preview", "--stack", "dev"]


def test_only_a_stack_in_a_cloud_downloads_plugins(tmp_path: Path):
    project = tmp_path / "Pulumi.yaml"
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  gantry:target: local\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("config:\n  gantry:target: aws\n")
    key = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    assert engine_env.plugin_downloads("dev", project, {}) == {key: "true"}
    assert engine_env.plugin_downloads("dev", project, {key: "false"}) == {key: "false"}
    assert (
        engine_env.plugin_downloads("acme/prod", project, {}) == engine_env.plugin_downloads("other", project, {}) == {}
    )


def test_variables_that_the_user_has_set_win_over_the_projects_defaults(tmp_path: Path):
    set_by_user = {"PULUMI_HOME": "/h", "PULUMI_CREDENTIALS_PATH": "/c", "PULUMI_SKIP_UPDATE_CHECK": "false"}
    env = engine_env.for_engine({"PATH": "/usr/bin", "HOME": str(tmp_path), **set_by_user})
    assert {key: env[key] for key in set_by_user} == set_by_user


def test_the_engine_runs_with_the_virtual_environment_first_on_path(tmp_path: Path):
    env = engine_env.for_engine({"PATH": "/usr/bin", "HOME": str(tmp_path)})
    assert env["PATH"].split(":") == [str(VENV / "bin"), str(ENGINE), "/usr/bin"]
    assert env["VIRTUAL_ENV"] == str(VENV)
    assert env["PULUMI_CREDENTIALS_PATH"] == str(tmp_path / ".pulumi")


def test_with_an_older_python_the_error_says_which_version_is_needed():
    code = "import sys; sys.version_info = (3, 9, 2); import tools.setup"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "needs Python 3.11 or newer" in result.stderr
