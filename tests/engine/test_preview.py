"""Previews of the real program with the real engine. No machine is needed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import ROOT, Stack, output

pytestmark = pytest.mark.engine

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    yield Stack("preview", tmp_path, {"app": "examples/rocket", "domain": "rocket.test"})


def test_the_preview_of_a_new_stack_names_every_resource_and_creates_none(stack: Stack):
    assert stack.steps() == dict.fromkeys(
        [
            "gantry-preview",
            "preview",
            "preview-deploy",
            "preview-admin",
            "preview-0",
            "preview-0-first-host-key",
            "rollout",
            *[f"preview-0-{step}" for step in ("ready", "logins", "host-program", "configure", "artifact", "release")],
        ],
        "create",
    )
    assert stack.outputs() == {}


def test_a_preview_shows_the_configuration_as_text_and_no_secret(stack: Stack):
    stack.pulumi("config", "set", "--secret", "--path", "gantry:env.TOKEN", SECRET)
    diff = stack.pulumi("preview", "--diff").stdout
    assert "return 301 $scheme://rocket.test$port_of_host$request_uri;" in diff
    assert "sudo gantry release" in diff
    assert SECRET not in diff
    assert "PRIVATE KEY" not in diff


def test_a_preview_names_the_uploads_and_their_digests(stack: Stack):
    """The command plugin doesn't know their `source` as an output. The engine shows the inputs."""
    diff = stack.pulumi("preview", "--diff").stdout
    for upload in (r"incoming/[0-9a-f]{12}\.tar", r"program-uploads/host-[0-9a-f]{12}\.pyz"):
        assert re.search(rf'remotePath: "/opt/gantry/{upload}"\n *source *: asset\(file:[0-9a-f]+\)', diff), diff


def test_variables_are_kept_as_they_were_typed(stack: Stack):
    stack.pulumi("config", "set", "--path", "gantry:env.PHONE", "+15551234567")
    stack.pulumi("config", "set", "--path", "gantry:env.DEBUG", "--secret", "+1")
    pairs = ("gantry:env.ID=12345678901234567890", "gantry:env.PLUS=+5", "gantry:env.NAME=a=b")
    stack.pulumi("config", "set-all", "--path", *(word for pair in pairs for word in ("--plaintext", pair)))
    variables = stack.pulumi("config", "get", "gantry:env").stdout
    expected = {"PHONE": "+15551234567", "DEBUG": "+1", "ID": "12345678901234567890", "PLUS": "+5", "NAME": "a=b"}
    assert json.loads(variables) == expected


def test_bin_pulumi_fails_with_the_engine(stack: Stack):
    words = ("config", "set-all", "--path", "--plaintext", "gantry:env.X=1", "--plaintext", "gantry:env.Y[x=2")
    result = stack.pulumi(*words, check=False)
    assert result.returncode != 0
    assert "invalid config key" in output(result)


def test_all_errors_in_the_settings_come_at_once_and_without_a_traceback(stack: Stack):
    number = {"PHONE": +15551234567}
    stack.configure(app="nowhere", domain="www.x.test", network="127.0.0.0/24", colour="red", env=number)
    error = failing_preview(stack)
    for words in ("app is 'nowhere'", "bare domain (x.test)", "network is '127.0.0.0/24'", "colour is no setting"):
        assert words in error
    assert "pulumi config set --path --type string env.PHONE <value>" in error


def test_an_app_that_cannot_be_packed_is_refused_without_a_traceback(stack: Stack, tmp_path: Path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "requirements.txt").write_text("flask\n")
    stack.configure(app=str(app))
    assert "add a Procfile" in failing_preview(stack)


def failing_preview(stack: Stack) -> str:
    """Run a preview, which must fail without a traceback; returns all that it printed."""
    result = stack.pulumi("preview", check=False)
    assert result.returncode != 0
    assert "Traceback" not in output(result)
    return output(result)


def test_the_project_is_a_template_for_pulumi_new(tmp_path: Path):
    template, project = tmp_path / "template", tmp_path / "shop"
    copy_repository(template)
    project.mkdir()
    words = ["new", str(template), "--dir", str(project), "--name", "shop", "--generate-only", "--yes"]
    env = Stack("template", tmp_path, {}).env()
    result = subprocess.run([str(ROOT / "bin/pulumi"), *words], env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, output(result)
    assert (project / "Pulumi.yaml").read_text().startswith("name: shop\n")
    assert "quickstart" not in (project / "Pulumi.yaml").read_text()
    assert (project / "components/rollout/rollout.py").exists()


def copy_repository(folder: Path) -> None:
    """Copy the files that Git doesn't ignore, as they are in the work tree."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
