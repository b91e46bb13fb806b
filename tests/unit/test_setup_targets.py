from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from tools.setup import __main__ as program
from tools.setup import engine_env, targets
from tools.setup.paths import ENGINE, ROOT, VENV
from tools.setup.report import SetupError


def test_a_local_stack_needs_root_and_the_error_says_the_command():
    assert targets.root_fault("up", "dev", local=True, user=0) is None
    assert targets.root_fault("up", "prod", local=False, user=1000) is None
    assert str(targets.root_fault("up", "dev", local=True, user=1000)).endswith("Run: sudo make up")
    assert str(targets.root_fault("destroy", "two", local=True, user=1000)).endswith("sudo make destroy STACK=two")


def test_whether_a_stack_is_local_is_read_from_its_configuration(tmp_path: Path):
    (tmp_path / "Pulumi.prod.yaml").write_text("config:\n  gantry:target: aws\n")
    assert not targets.is_local("org/gantry/prod", tmp_path)
    assert targets.is_local("dev", tmp_path)


def test_the_policy_pack_checks_a_clouds_resources_before_they_are_created():
    pack = ["--policy-pack", str(ROOT / "policy/pack")]
    assert targets.words_of("preview", "prod", "aws") == ["preview", "--diff", "--stack", "prod", *pack]
    assert targets.words_of("up", "prod", "digitalocean") == ["up", "--yes", "--stack", "prod", *pack]
    assert targets.words_of("destroy", "prod", "aws") == ["destroy", "--yes", "--stack", "prod"]
    assert targets.words_of("up", "dev", "local") == ["up", "--yes", "--skip-preview", "--stack", "dev"]


def test_a_destroy_on_digitalocean_first_refreshes_the_state():
    assert targets.words_of("destroy", "prod", "digitalocean") == ["destroy", "--yes", "--refresh", "--stack", "prod"]
    assert targets.words_of("destroy", "dev", "local") == ["destroy", "--yes", "--skip-preview", "--stack", "dev"]


def test_only_destroy_deletes_the_data_of_a_local_volume():
    assert targets.variables_of("destroy", "local") == {"GANTRY_DELETE_STORAGE": "true"}
    assert targets.variables_of("up", "local") == targets.variables_of("destroy", "aws") == {}


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


def test_a_program_in_another_folder_finds_the_components_before_the_users_own_modules(tmp_path: Path):
    assert engine_env.import_path(ROOT / "Pulumi.yaml", {}) == engine_env.import_path(None, {}) == {}
    project = tmp_path / "Pulumi.yaml"
    assert engine_env.import_path(project, {}) == {"PYTHONPATH": str(ROOT)}
    assert engine_env.import_path(project, {"PYTHONPATH": "/mine"}) == {"PYTHONPATH": f"{ROOT}:/mine"}


def test_variables_that_the_user_has_set_win_over_the_projects_defaults(tmp_path: Path):
    set_by_user = {"PULUMI_HOME": "/h", "PULUMI_CREDENTIALS_PATH": "/c", "PULUMI_SKIP_UPDATE_CHECK": "false"}
    env = engine_env.for_engine({"PATH": "/usr/bin", "HOME": str(tmp_path), **set_by_user})
    assert {key: env[key] for key in set_by_user} == set_by_user


def test_the_engine_runs_with_the_virtual_environment_first_on_path(tmp_path: Path):
    env = engine_env.for_engine({"PATH": "/usr/bin", "HOME": str(tmp_path)})
    assert env["PATH"].split(":") == [str(VENV / "bin"), str(ENGINE), "/usr/bin"]
    assert env["VIRTUAL_ENV"] == str(VENV)
    assert env["PULUMI_CREDENTIALS_PATH"] == str(tmp_path / ".pulumi")


def test_the_arguments_of_make_test_reach_pytest_as_they_are(monkeypatch: pytest.MonkeyPatch):
    reached = list[list[str]]()
    monkeypatch.setattr(targets, "test", lambda arguments, _environ: reached.append(arguments) or 0)
    for words in ([], ["tests/unit", "-k", "name"], ["--durations=5", "-k", "name"]):
        monkeypatch.setattr(sys, "argv", ["setup", "test", "--", *words])
        assert program.main() == 0
        assert reached.pop() == words


FAKE_ENGINE = """#!/bin/sh
echo "$*" >> calls
case "$*" in
*--create*|*known*) exit 0 ;;
*broken*) echo "error: the backend is down" >&2; exit 255 ;;
esac
echo "error: no stack named 'nosuch' found" >&2
exit 6
"""


@pytest.fixture
def engine(tmp_path: Path) -> str:
    """A program that knows one stack, and creates others if it is told to."""
    program = tmp_path / "pulumi"
    program.write_text(FAKE_ENGINE)
    program.chmod(0o755)
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {}\n")
    return str(program)


def test_a_stack_with_neither_state_nor_settings_is_refused_with_the_command_that_creates_it(
    engine: str, tmp_path: Path
):
    with pytest.raises(SetupError) as error:
        targets.select_stack(engine, "pord", {}, tmp_path)
    assert 'There is no stack "pord": it has neither a state nor a Pulumi.pord.yaml' in str(error.value)
    assert "These stacks have settings here: prod" in str(error.value)
    assert "bin/pulumi stack init pord" in str(error.value)
    assert "--create" not in (tmp_path / "calls").read_text()


@pytest.mark.parametrize("words", [["up"], ["preview"], ["destroy"], ["recover"]])
def test_a_misspelt_stack_is_refused_also_if_no_backend_is_chosen(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PULUMI_CREDENTIALS_PATH", str(tmp_path))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["setup", *words, "--stack", "dve"])
    assert program.main() == 1
    message = capsys.readouterr().err
    assert 'There is no stack "dve": it has neither settings here nor a backend' in message
    assert "These stacks have settings here: dev" in message
    assert "bin/pulumi stack init dve" in message


def test_a_stack_with_a_state_or_with_settings_is_selected(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(targets, "ROOT", tmp_path)
    assert targets.select_stack(engine, "known", {}, tmp_path) == 0
    assert targets.select_stack(engine, "org/gantry/prod", {}, tmp_path) == 0
    known, prod = (tmp_path / "calls").read_text().splitlines()
    assert "--create" not in known
    assert "--create" in prod


@pytest.mark.parametrize(
    ("selected", "has_state", "is_selected"),
    [("organization/gantry/dev", True, True), ("organization/gantry/prod", True, False), ("dev", False, False)],
)
def test_a_stack_that_is_selected_already_needs_no_engine(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, selected: str, has_state: bool, is_selected: bool
):
    monkeypatch.setattr(targets, "ROOT", tmp_path)
    url, project = f"{tmp_path.as_uri()}?metadata=skip", tmp_path / "Pulumi.yaml"
    project.write_text("name: gantry\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    digest = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
    workspace = tmp_path / f"workspaces/gantry-{digest}-workspace.json"
    workspace.parent.mkdir()
    workspace.write_text(json.dumps({"stacks": {url: selected}}))
    if has_state:
        state = tmp_path / ".pulumi/stacks/gantry/dev.json"
        state.parent.mkdir(parents=True)
        state.write_text("{}")
    env = {"PULUMI_BACKEND_URL": url, "PULUMI_HOME": str(tmp_path)}
    assert targets.select_stack(engine, "dev", env, tmp_path) == 0
    assert (tmp_path / "calls").exists() != is_selected


def test_another_error_of_the_selection_is_shown_as_it_is(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert targets.select_stack(engine, "broken", {}, tmp_path) == 255
    assert capsys.readouterr().err == "error: the backend is down\n"


def test_after_the_generated_folder_was_deleted_the_error_says_how_to_go_on(tmp_path: Path):
    with_state = targets.deleted_folder("dev", local=True, has_state=True)
    assert "sudo python3 -m components.local list" in with_state
    assert with_state.endswith("make up")
    elsewhere = targets.deleted_folder("prod", local=False, has_state=False)
    assert elsewhere.endswith("  make setup\n  make recover STACK=prod")
    assert targets.is_below(f"{(tmp_path / 'state').as_uri()}?metadata=skip", tmp_path)
    assert not targets.is_below("s3://bucket", tmp_path)
    assert not targets.is_below("", tmp_path)
