from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools.setup import environment, packages, plugin, programs, python_env, targets, workflows
from tools.setup.files import digest, made_aside, only_one, read_record, write_record
from tools.setup.report import SetupError

OURS = {"source": "ours", "digest": "d1"}
UPSTREAM = {"source": "upstream", "digest": "d1"}


@pytest.mark.parametrize(
    ("present", "record", "ours", "retry", "action"),
    [
        (False, {}, "d1", False, "download"),
        (True, {}, "d1", True, "keep"),
        (True, UPSTREAM, "d2", True, "keep"),
        (False, UPSTREAM, "d1", False, "download"),
        (True, OURS, "d1", False, "keep"),
        (True, OURS, "d2", False, "install ours"),
        (False, OURS, "d1", False, "install ours"),
        (True, OURS, "d1", True, "download"),
    ],
)
def test_upstreams_plugin_is_tried_first_and_after_a_failure_only_by_make_setup(
    present: bool, record: dict[str, str], ours: str, retry: bool, action: str
):
    assert plugin.decide(present, record, ours, retry) == action


def test_a_folder_that_is_filled_aside_replaces_the_old_one_whole(tmp_path: Path):
    final = tmp_path / "venv"
    for content in ("one", "two"):
        with made_aside(final) as folder:
            (folder / "file").write_text(content)
        assert (final / "file").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["venv"]


def test_a_folder_whose_filling_failed_leaves_the_old_one_and_the_next_try_starts_clean(tmp_path: Path):
    final = tmp_path / "venv"
    with made_aside(final) as folder:
        (folder / "file").write_text("whole")

    def fail() -> None:
        with made_aside(final) as folder:
            (folder / "half").write_text("")
            raise SetupError("interrupted")

    with pytest.raises(SetupError):
        fail()
    assert (final / "file").read_text() == "whole"
    killed = final.with_name(".venv.new")
    assert not killed.exists()
    (killed / "half").mkdir(parents=True)
    with made_aside(final) as folder:
        assert list(folder.iterdir()) == []


def test_a_record_that_was_cut_off_counts_as_none(tmp_path: Path):
    record = tmp_path / "record.json"
    write_record(record, {"key": "value"})
    assert read_record(record) == {"key": "value"}
    record.write_text('{"key": "va')
    assert read_record(record) == {}


def test_a_digest_keeps_its_parts_apart(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("b")
    assert digest(["a", file]) == digest(["a", "b"])
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_of_two_set_ups_at_once_the_second_waits(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    order: list[str] = []

    def second() -> None:
        with only_one(tmp_path / "lock"):
            order.append("second")

    with only_one(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "another set-up is at work" in capfd.readouterr().err


def test_a_long_program_gives_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    monkeypatch.setattr(programs, "SIGN_OF_LIFE_SECONDS", 0.1)
    programs.run_logged("sleeping", ["sleep", "0.3"])
    assert "gantry: sleeping: 0:00" in capfd.readouterr().err


def test_a_failed_program_shows_the_end_of_its_output_and_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    with pytest.raises(SetupError) as error:
        programs.run_logged("making it", ["sh", "-c", "seq 100; exit 3"], remedy="Mend it.")
    assert "  86\n" in str(error.value)
    assert "  85\n" not in str(error.value)
    assert str(error.value).endswith("  100\nMend it.")


def test_a_program_over_its_time_limit_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    with pytest.raises(SetupError, match=r"took longer than 0 s|took longer"):
        programs.run_logged("hanging", ["sleep", "60"], time_limit=0.2)


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ("uv 0.13.9 (x86_64)", True),
        ("uv 0.5.0", True),
        ("uv 0.4.30", False),
        ("", False),
        ("uv unknown", False),
    ],
)
def test_a_uv_on_path_is_used_if_it_is_new_enough(said: str, good: bool):
    assert python_env.new_enough(said) is good


def test_tools_that_were_installed_stay_when_only_the_runtime_is_asked_for():
    runtime, tools = python_env.RUNTIME, python_env.DEVELOPMENT
    assert python_env.wanted(False, {}) == [runtime]
    assert python_env.wanted(True, {}) == [runtime, tools]
    assert python_env.wanted(False, {tools.name: "any"}) == [runtime, tools]


def test_the_environment_is_current_when_it_was_made_from_the_same_files():
    runtime, tools = python_env.RUNTIME, python_env.DEVELOPMENT
    made = {runtime.name: digest([runtime])}
    assert python_env.is_current(False, made)
    assert not python_env.is_current(True, made)
    assert python_env.is_current(True, made | {tools.name: digest([tools])})
    assert not python_env.is_current(False, {runtime.name: "older"})


def test_the_requirements_are_locked_with_hashes_and_name_no_index():
    for file in (python_env.RUNTIME, python_env.DEVELOPMENT, python_env.POLICY, python_env.UV_LOCK):
        text = file.read_text()
        requirements = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
        assert requirements
        assert text.count("--hash=sha256:") >= len(requirements)
        assert all(line.endswith("\\") for line in requirements), f"a requirement of {file.name} has no hash"
        assert "://" not in text


def test_only_missing_packages_are_installed():
    needs = [("nft", "nftables"), ("ip", "iproute2")]
    assert packages.missing_packages(needs, lambda program: program == "ip") == ["nftables"]


def test_missing_packages_are_asked_for_where_they_may_not_be_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(packages.shutil, "which", lambda name, path=None: "/usr/bin/apt-get")
    with pytest.raises(SetupError, match="sudo apt-get install nftables iproute2"):
        packages.install_packages([("nft", "nftables"), ("ip", "iproute2")], {}, lambda program: False)


def test_where_there_is_no_apt_the_programs_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages.shutil, "which", lambda name, path=None: None)
    with pytest.raises(SetupError, match=r"Missing on this computer: nft\. Install what Debian calls: nftables"):
        packages.install_packages([("nft", "nftables")], {}, lambda program: False)


def test_a_local_stack_needs_root_and_says_the_command():
    assert targets.root_fault("up", "dev", local=True, user=0) is None
    assert targets.root_fault("up", "prod", local=False, user=1000) is None
    assert str(targets.root_fault("up", "dev", local=True, user=1000)).endswith("Run: sudo make up")
    assert str(targets.root_fault("destroy", "two", local=True, user=1000)).endswith("sudo make destroy STACK=two")


def test_a_stack_is_local_by_its_own_file(tmp_path: Path):
    (tmp_path / "Pulumi.prod.yaml").write_text("config:\n  gantry:target: aws\n")
    assert not targets.is_local("org/gantry/prod", tmp_path)
    assert targets.is_local("dev", tmp_path)


def test_without_go_the_workflows_go_unchecked_but_not_in_ci(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(workflows, "ACTIONLINT", tmp_path / "actionlint")
    monkeypatch.setattr(workflows, "find", lambda *_: None)
    assert workflows.check({}) == 0
    assert "the workflows were not checked. There is no Go" in capfd.readouterr().err
    with pytest.raises(SetupError, match=r"Install Go 1\.25"):
        workflows.check({"CI": "true"})


def test_what_a_cloud_is_to_get_is_checked_by_the_policy_pack_before_it_is_made():
    pack = ["--policy-pack", str(environment.ROOT / "policy/pack")]
    assert targets.words_of("preview", "prod", "aws") == ["preview", "--diff", "--stack", "prod", *pack]
    assert targets.words_of("up", "prod", "digitalocean") == ["up", "--yes", "--stack", "prod", *pack]
    assert targets.words_of("destroy", "prod", "aws") == ["destroy", "--yes", "--stack", "prod"]
    assert targets.words_of("up", "dev", "local") == ["up", "--yes", "--skip-preview", "--stack", "dev"]


def test_before_a_destroy_on_digitalocean_the_engine_hears_of_what_is_gone_already():
    assert targets.words_of("destroy", "prod", "digitalocean") == ["destroy", "--yes", "--refresh", "--stack", "prod"]
    assert targets.words_of("destroy", "dev", "local") == ["destroy", "--yes", "--skip-preview", "--stack", "dev"]


def test_a_stack_on_this_computer_gets_no_plugins_of_clouds_and_another_does(tmp_path: Path):
    project = tmp_path / "Pulumi.yaml"
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  gantry:target: local\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("config:\n  gantry:target: aws\n")
    key = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    assert environment.plugins_of("dev", project, {}) == {key: "true"}
    assert environment.plugins_of("dev", project, {key: "false"}) == {key: "false"}
    assert environment.plugins_of("acme/prod", project, {}) == environment.plugins_of("other", project, {}) == {}


def test_what_the_user_has_set_goes_before_the_projects_own(tmp_path: Path):
    set_by_user = {"PULUMI_HOME": "/h", "PULUMI_CREDENTIALS_PATH": "/c", "PULUMI_SKIP_UPDATE_CHECK": "false"}
    env = environment.for_engine({"PATH": "/usr/bin", "HOME": str(tmp_path), **set_by_user})
    assert {key: env[key] for key in set_by_user} == set_by_user


def test_the_engine_runs_with_the_environments_python_first(tmp_path: Path):
    env = environment.for_engine({"PATH": "/usr/bin", "HOME": str(tmp_path)})
    assert env["PATH"].split(":") == [str(environment.VENV / "bin"), str(environment.ENGINE), "/usr/bin"]
    assert env["VIRTUAL_ENV"] == str(environment.VENV)
    assert env["PULUMI_CREDENTIALS_PATH"] == str(tmp_path / ".pulumi")


def test_an_older_python_is_told_what_is_needed():
    code = "import sys; sys.version_info = (3, 9, 2); import tools.setup"
    done = subprocess.run([sys.executable, "-c", code], cwd=environment.ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
