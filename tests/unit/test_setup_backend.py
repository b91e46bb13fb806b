from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tools.setup import arguments, backend
from tools.setup.report import SetupError

LOCAL = backend.in_folder(Path("/checkout/.gantry/state"))


@pytest.mark.parametrize(
    "line",
    [
        "up -s prod",
        "up -sprod",
        "up -s=prod",
        "up --stack prod",
        "up --stack=prod",
        "-s prod up",
        "up -ys prod",
        "up -yfsprod",
        "--color always --stack prod preview",
        "config set --path env.A b -s prod",
        "stack init prod",
        "stack select prod",
        "stack init --secrets-provider passphrase prod",
        "stack rm --yes prod",
        "stack -s prod output",
        "-C /tmp stack select prod",
    ],
)
def test_the_stack_is_read_from_every_form_of_the_flag(line: str):
    assert arguments.read(line.split()).stack == "prod"


@pytest.mark.parametrize("line", ["up", "up -m stack", "stack output url", "up -- -s prod", "config set stack prod"])
def test_words_that_only_look_like_a_stack_are_ignored(line: str):
    assert arguments.read(line.split()).stack is None


def test_the_folder_is_that_of_cwd():
    assert arguments.read(["-C", "/a", "up"]).folder == "/a"
    assert arguments.read(["up", "--cwd=/a"]).folder == "/a"


@pytest.mark.parametrize(
    "line",
    ["", "version", "login s3://b", "logout", "plugin ls", "about", "help up", "up --help", "-h", "--version",
     "new --list-templates", "new python -g", "install", "--color never version"],
)  # fmt: skip
def test_these_commands_need_no_backend(line: str):
    assert not arguments.read(line.split()).needs_backend


@pytest.mark.parametrize("line", ["up", "stack ls", "config", "whoami", "new python", "down", "-C version up"])
def test_all_other_commands_need_a_backend(line: str):
    assert arguments.read(line.split()).needs_backend


def test_the_dev_stack_has_a_local_backend_and_an_empty_passphrase():
    expected = {"PULUMI_BACKEND_URL": LOCAL, "PULUMI_CONFIG_PASSPHRASE": ""}
    assert backend.defaults("dev", None, LOCAL, {}) == expected
    assert backend.defaults("organization/gantry/dev", None, LOCAL, {}) == expected


def test_a_backend_that_the_user_has_chosen_is_kept():
    assert backend.defaults("dev", "s3://bucket", LOCAL, {}) == {}
    assert backend.defaults("prod", "s3://bucket", LOCAL, {}) == {}


def test_an_empty_passphrase_is_only_for_the_dev_stack_on_this_computer():
    assert backend.defaults("dev", "file:///elsewhere", LOCAL, {}) == {"PULUMI_CONFIG_PASSPHRASE": ""}
    assert backend.defaults("prod", "file:///elsewhere", LOCAL, {}) == {}


@pytest.mark.parametrize("key", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_that_the_user_has_set_is_kept(key: str):
    assert backend.defaults("dev", None, LOCAL, {key: "chosen"}) == {"PULUMI_BACKEND_URL": LOCAL}


@pytest.mark.parametrize("stack", ["prod", "org/gantry/prod", "dev2"])
def test_for_another_stack_without_a_backend_the_error_says_how_to_choose_one(stack: str):
    with pytest.raises(SetupError) as error:
        backend.defaults(stack, None, LOCAL, {})
    for part in (f'"{stack}"', "bin/pulumi login", "PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("name: x\nbackend:\n  url: s3://b\nruntime: python\n", "s3://b"),
        ('backend: {url: "gs://b"}\n', "gs://b"),
        ("backend:\n\n  # where\n  url: 'file://~'\n", "file://~"),
        ("name: x\ndescription: backend\nconfig:\n  url: https://no\n", None),
        ("backend: {}\nconfig:\n  url: https://no\n", None),
    ],
)
def test_the_backend_of_a_project_file_is_read(text: str, url: str | None):
    assert backend.backend_in(text) == url


def test_the_backend_is_chosen_by_variable_then_project_then_login(tmp_path: Path):
    project = tmp_path / "Pulumi.yaml"
    project.write_text("name: x\n")
    assert backend.chosen_backend({}, project, tmp_path) is None
    (tmp_path / "credentials.json").write_text(json.dumps({"current": "https://login"}))
    assert backend.chosen_backend({}, project, tmp_path) == "https://login"
    project.write_text("name: x\nbackend:\n  url: s3://project\n")
    assert backend.chosen_backend({}, project, tmp_path) == "s3://project"
    assert backend.chosen_backend({"PULUMI_BACKEND_URL": "gs://env"}, project, tmp_path) == "gs://env"


@pytest.mark.parametrize("text", ["", "[]", '{"current": ""}', '{"current": 3}'])
def test_credentials_that_name_no_backend_choose_none(tmp_path: Path, text: str):
    (tmp_path / "credentials.json").write_text(text)
    assert backend.chosen_backend({}, None, tmp_path) is None


def test_the_selected_stack_is_that_of_this_project_and_backend(tmp_path: Path):
    project = tmp_path / "Pulumi.yaml"
    project.write_text("name: gantry\n")
    path_digest = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
    file = tmp_path / "workspaces" / f"gantry-{path_digest}-workspace.json"
    file.parent.mkdir()
    assert backend.selected_stack(tmp_path, project, LOCAL) is None
    file.write_text(json.dumps({"stacks": {LOCAL: "organization/gantry/dev", "s3://b": "prod"}}))
    assert backend.selected_stack(tmp_path, project, LOCAL) == "organization/gantry/dev"
    assert backend.selected_stack(tmp_path, project, "s3://b") == "prod"
    assert backend.selected_stack(tmp_path, project, "gs://other") is None
    assert backend.selected_stack(tmp_path, None, LOCAL) is None


def test_the_project_file_is_found_in_a_parent_folder(tmp_path: Path):
    (tmp_path / "Pulumi.yaml").write_text("name: x\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert backend.project_file(tmp_path / "a" / "b") == tmp_path / "Pulumi.yaml"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("config:\n  gantry:target: aws\n", "aws"),
        ("config:\n  target: 'digitalocean'\n", "digitalocean"),
        ("config:\n  with-bucket:target: aws\n", "aws"),
        ("config:\n  gantry:app: x\n", "local"),
        ("", "local"),
    ],
)
def test_the_target_of_a_stack_is_read_from_its_file(text: str, target: str):
    assert backend.target_in(text) == target


def test_the_login_folder_is_the_users(tmp_path: Path):
    assert backend.login_folder({}, tmp_path) == tmp_path / ".pulumi"
    assert backend.login_folder({"PULUMI_HOME": "/h"}, tmp_path) == Path("/h")
    assert backend.login_folder({"PULUMI_HOME": "/h", "PULUMI_CREDENTIALS_PATH": "/c"}, tmp_path) == Path("/c")


def test_under_sudo_the_login_of_the_caller_counts_unless_root_has_one(tmp_path: Path):
    assert backend.login_folder({"SUDO_USER": "daemon"}, tmp_path) == Path("/usr/sbin/.pulumi")
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi" / "credentials.json").write_text("{}")
    assert backend.login_folder({"SUDO_USER": "daemon"}, tmp_path) == tmp_path / ".pulumi"


def test_only_the_stacks_empty_sidecars_are_removed(tmp_path: Path):
    stacks = tmp_path / ".pulumi/stacks/gantry"
    stacks.mkdir(parents=True)
    for name, text in {
        "prod.json": "",
        "prod.json.attrs": "",
        "prod.json.gz.attrs": "{}",
        "two.json.attrs": "",
    }.items():
        (stacks / name).write_text(text)
    assert backend.remove_empty_sidecars("s3://bucket", "prod") == []
    assert backend.remove_empty_sidecars(f"file://{tmp_path}?x=y", "org/prod") == [stacks / "prod.json.attrs"]
    assert sorted(file.name for file in stacks.iterdir()) == ["prod.json", "prod.json.gz.attrs", "two.json.attrs"]
