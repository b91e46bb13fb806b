from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from components import app_data, data_guard
from components.app_data import Contents, StateServer
from tools.setup import backend, failure, lost_data, stack_state
from tools.setup.report import SetupError

PROGRAM = """import json, sys
words = sys.argv[1:]
if words[0] == "config":
    print("i-1" if LOSES else "", end="")
    sys.exit(0 if LOSES else 1)
print(open("FOLDER/state.json").read())
"""


@pytest.fixture
def pulumi(tmp_path: Path) -> list[str]:
    """In place of Pulumi: it exports ``state.json`` and knows loseData once ``LOSES`` is True."""
    write_program(tmp_path, loses=False)
    return [sys.executable, str(tmp_path / "pulumi.py")]


def write_program(folder: Path, *, loses: bool) -> None:
    text = PROGRAM.replace("LOSES", str(loses)).replace("FOLDER", str(folder))
    (folder / "pulumi.py").write_text(text)


def write_state(folder: Path, *servers: dict[str, Any]) -> dict[str, str]:
    """The state in a backend of files; returns its variable."""
    urn = "urn:pulumi:dev::gantry::gantry:local:Server$pulumi-python:dynamic/gantry/local:Machine::dev-0"
    resources = [{"urn": urn, **server} for server in servers]
    (folder / "state.json").write_text(json.dumps({"deployment": {"resources": resources}}))
    file = folder / ".pulumi/stacks/gantry/dev.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": {"resources": resources}}}))
    return {"PULUMI_BACKEND_URL": backend.in_folder(folder)}


@pytest.fixture
def with_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every server has a file; the ids of those that were asked."""
    asked: list[str] = []

    def read(server: StateServer) -> Contents:
        asked.append(server.id)
        return Contents(files=1, bytes=9)

    monkeypatch.setattr(app_data, "read", read)
    return asked


def test_up_does_not_end_the_replacement_of_a_server_with_files_that_a_failed_up_began(
    pulumi: list[str], with_files: list[str], tmp_path: Path
):
    env = write_state(tmp_path, {"id": "i-2"})
    require_no_loss(pulumi, env)
    assert with_files == []
    env = write_state(tmp_path, {"id": "i-2"}, {"id": "i-1", "delete": True})
    with pytest.raises(SetupError, match="dev-0 was replaced by a failed `up`: its /var/lib/app has 1 file"):
        require_no_loss(pulumi, env)
    # The state of another backend is read by Pulumi.
    with pytest.raises(SetupError):
        require_no_loss(pulumi, {"PULUMI_BACKEND_URL": "s3://bucket"})
    assert with_files == ["i-1", "i-1"]
    write_program(tmp_path, loses=True)
    require_no_loss(pulumi, env)


def require_no_loss(pulumi: list[str], env: dict[str, str]) -> None:
    lost_data.require_no_loss(pulumi, "dev", env, stack_state.read(pulumi, "dev", env))


def test_a_state_is_read_from_its_file_and_by_pulumi_where_that_is_compressed_or_elsewhere(
    pulumi: list[str], tmp_path: Path
):
    env = write_state(tmp_path, {"id": "i-1"})
    assert stack_state.read(["false"], "dev", env)["resources"][0]["id"] == "i-1"
    assert stack_state.read(["false"], "new", env) == {}
    with pytest.raises(SetupError, match="The state of the stack can't be read"):
        stack_state.read(["false"], "dev", {"PULUMI_BACKEND_URL": "s3://bucket"})
    [file] = tmp_path.rglob("dev.json")
    file.rename(f"{file}.gz")
    assert stack_state.read(pulumi, "dev", env)["resources"][0]["id"] == "i-1"


def test_destroy_names_every_server_and_goes_on(
    pulumi: list[str], with_files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    env = write_state(tmp_path, {"id": "i-2"}, {"id": "i-1", "delete": True})
    lost_data.announce(pulumi, "dev", env)
    lines = [f"gantry: destroy deletes dev-0 ({id}): its /var/lib/app has 1 file (9 bytes)" for id in ("i-2", "i-1")]
    assert [line.partition(", deleted")[0] for line in capsys.readouterr().err.splitlines()] == lines
    (tmp_path / "state.json").unlink()
    lost_data.announce([*pulumi], "dev", {"PATH": ""})
    assert "nobody knows which files destroy deletes" in capsys.readouterr().err


def test_the_last_lines_of_make_up_have_the_whole_refusal():
    urn = "urn:pulumi:prod::gantry::gantry:aws:Server$aws:ec2/instance:Instance::prod-0"
    text = (
        f'Preview failed: before hook "prod-0-{data_guard.HOOK}" failed: prod-0 is replaced: why\nThe ways on:\n  - one'
    )
    summary = failure.summary(failure.failures([failure.Diagnostic(urn, "error", text)]), "prod")
    assert summary.startswith("make up failed:\n  prod-0 is replaced: why\n  The ways on:\n    - one\nTo go on")


def test_make_up_stops_at_its_preview():
    assert {data_guard.STOP_IN_PREVIEW: "true"} == lost_data.VARIABLES
