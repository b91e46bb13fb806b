"""The real engine on the real program, up to where a machine would be needed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import ROOT, Stack

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
            "preview-0",
            "preview-0-first-host-key",
            "rollout",
            *[f"preview-0-{step}" for step in ("ready", "host-program", "configure", "artifact", "release")],
        ],
        "create",
    )
    assert stack.outputs() == {}


def test_a_preview_shows_the_configuration_as_text_and_no_secret(stack: Stack):
    stack.pulumi("config", "set", "--secret", "--path", "gantry:env.TOKEN", SECRET)
    shown = stack.pulumi("preview", "--diff").stdout
    assert "return 301 $scheme://rocket.test$request_uri;" in shown
    assert "sudo gantry release" in shown
    assert SECRET not in shown
    assert "PRIVATE KEY" not in shown


def test_all_errors_in_the_settings_come_at_once_and_without_a_traceback(stack: Stack):
    stack.configure(app="nowhere", domain="www.x.test", network="127.0.0.0/24", colour="red")
    done = stack.pulumi("preview", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    for words in ("app is 'nowhere'", "bare domain (x.test)", "network is '127.0.0.0/24'", "colour is no setting"):
        assert words in said
    assert "Traceback" not in said


def test_an_app_that_cannot_be_packed_is_refused_without_a_traceback(stack: Stack, tmp_path: Path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "requirements.txt").write_text("flask\n")
    stack.configure(app=str(app))
    done = stack.pulumi("preview", check=False)
    assert "add a Procfile" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_project_is_a_template_for_pulumi_new(tmp_path: Path):
    template, project = tmp_path / "template", tmp_path / "shop"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (template / name).parent.mkdir(parents=True, exist_ok=True)
            (template / name).write_bytes((ROOT / name).read_bytes())
    project.mkdir()
    words = ["new", str(template), "--dir", str(project), "--name", "shop", "--generate-only", "--yes"]
    stack = Stack("template", tmp_path, {})
    done = subprocess.run(
        [str(ROOT / "bin/pulumi"), *words], env=stack.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "Pulumi.yaml").read_text().startswith("name: shop\n")
    assert "quickstart" not in (project / "Pulumi.yaml").read_text()
    assert (project / "components/rollout.py").exists()
