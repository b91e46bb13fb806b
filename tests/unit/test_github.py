"""The workflows and their programs: which stacks they run for, and the comment of a preview."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tools.github.comment import PullRequest, main
from tools.github.preview import LIMIT, comment, marker, verdict
from tools.github.stacks import in_clouds
from tools.setup.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
COUNTS = """
    + aws:ec2/instance:Instance: (create)

Resources:
    + 11 to create
    ~ 1 to update
    +-2 to replace
    13 changes. 3 unchanged
"""


def comment_on(output: str, failed: bool = False) -> str:
    return comment("prod", output, failed=failed, commit="0123456789abcdef", run="https://example.org/1")


def test_the_workflows_run_only_for_stacks_in_a_cloud(tmp_path: Path):
    for name, target in (("dev", "local"), ("prod", "aws"), ("beta", "digitalocean")):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(f"config:\n  gantry:target: {target}\n")
    (tmp_path / "Pulumi.yaml").write_text("name: gantry\n")
    assert in_clouds(tmp_path) == ["beta", "prod"]


def test_a_comment_says_what_would_change_and_has_the_whole_preview_in_a_fold():
    text = comment_on(COUNTS)
    assert text.startswith(f"{marker('prod')}\n### `prod`: 11 to create, 1 to update, 2 to replace\n")
    assert "<summary>Preview for 0123456789ab · " in text
    assert "```text\n+ aws:ec2/instance:Instance: (create)\n" in text
    assert text.endswith("```\n\n</details>\n")


@pytest.mark.parametrize(
    ("output", "failed", "heading"),
    [
        ("Resources:\n    8 unchanged\n", False, "no changes"),
        ("Resources:\n    + 1 to create\n", True, "the preview failed"),
        ("  cron: '3 to delete'\nResources:\n    - 2 to delete\n", False, "2 to delete"),
    ],
)
def test_the_verdict_has_the_counts_of_the_engine(output: str, failed: bool, heading: str):
    assert verdict(output, failed) == heading


def test_a_preview_that_is_too_long_keeps_its_beginning_and_its_end():
    text = comment_on("first line\n" + "some change\n" * 10_000 + COUNTS)
    assert LIMIT - 10 < len(text) <= LIMIT
    assert "first line" in text
    assert "11 to create\n    ~ 1 to update" in text
    assert re.search(r"\[\.\.\. \d{5} characters left out", text)
    assert text.endswith("```\n\n</details>\n")


def test_backticks_in_a_preview_do_not_end_its_block():
    text = comment_on("before\n````\n</details> @somebody\n````\nafter")
    assert text.count("\n`````") == 2
    assert text.index("`````text") < text.index("@somebody") < text.rindex("`````")


class GitHub(BaseHTTPRequestHandler):
    """The part of GitHub's API that handles comments, in pages."""

    comments: list[dict[str, Any]]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        assert parts.path == "/repos/me/gantry/issues/7/comments"
        query = {key: int(values[0]) for key, values in parse_qs(parts.query).items()}
        end = query["page"] * query["per_page"]
        self.respond(200, self.comments[end - query["per_page"] : end])

    def do_POST(self) -> None:
        assert self.path == "/repos/me/gantry/issues/7/comments"
        self.comments.append(comment_json(len(self.comments), self.body()))
        self.respond(201, self.comments[-1])

    def do_PATCH(self) -> None:
        number = int(self.path.removeprefix("/repos/me/gantry/issues/comments/"))
        self.comments[number]["body"] = self.body()
        self.respond(200, self.comments[number])

    def body(self) -> str:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]

    def respond(self, status: int, content: object) -> None:
        self.send_response(status if self.headers["Authorization"] == "Bearer token" else 403)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def comment_json(number: int, body: str, author: str = "github-actions[bot]") -> dict[str, Any]:
    return {"id": number, "body": body, "user": {"login": author}, "html_url": f"https://example.org/{number}"}


@pytest.fixture
def api() -> Iterator[str]:
    GitHub.comments = [comment_json(number, f"remark {number}", "somebody") for number in range(120)]
    with ThreadingHTTPServer(("127.0.0.1", 0), GitHub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_stack_has_one_comment_that_is_edited_for_each_preview(api: str):
    pull_request = PullRequest(api=api, repository="me/gantry", number=7, token="token")
    assert pull_request.put("prod", comment_on("first")) == "https://example.org/120"
    assert pull_request.put("beta", f"{marker('beta')} other") == "https://example.org/121"
    assert pull_request.put("prod", comment_on("second")) == "https://example.org/120"
    assert len(GitHub.comments) == 122
    assert "second" in GitHub.comments[120]["body"]
    assert "first" not in GitHub.comments[120]["body"]


def test_a_comment_of_somebody_else_is_never_edited(api: str):
    GitHub.comments[3]["body"] = f"{marker('prod')} quoted"
    PullRequest(api=api, repository="me/gantry", number=7, token="token").put("prod", comment_on("first"))
    assert GitHub.comments[3]["body"].endswith("quoted")
    assert len(GitHub.comments) == 121


def run_main(api: str, folder: Path, monkeypatch: pytest.MonkeyPatch, token: str = "token") -> int:
    """Does what a workflow's step does after a failed preview. Returns the exit status."""
    (folder / "preview.txt").write_text("error: it\n")
    env = {"GITHUB_API_URL": api, "GITHUB_REPOSITORY": "me/gantry", "GITHUB_TOKEN": token, "PULL_REQUEST": "7"}
    for key, value in {**env, "COMMIT": "0123456789abcdef", "RUN": "https://example.org/1"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("sys.argv", ["comment", "--stack", "prod", "--exit-status", "1", str(folder / "preview.txt")])
    return main()


def test_the_comment_says_that_the_preview_failed(api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert run_main(api, tmp_path, monkeypatch) == 0
    assert "### `prod`: the preview failed\n" in GitHub.comments[120]["body"]
    assert "error: it" in GitHub.comments[120]["body"]


def test_an_error_names_the_permission_that_the_token_needs(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run_main(api, tmp_path, monkeypatch, token="another") == 1
    stdout = capsys.readouterr().out
    assert "answered 403" in stdout
    assert "pull-requests: write" in stdout
    assert "another" not in stdout


def jobs(workflow: str) -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / ".github/workflows" / workflow).read_text())["jobs"]


def steps(workflow: str, job: str) -> list[dict[str, Any]]:
    return jobs(workflow)[job]["steps"]


@pytest.mark.parametrize("status", [0, 3])
def test_the_preview_step_fails_with_the_previews_status_and_passes_it_to_the_next_step(status: int, tmp_path: Path):
    script = next(step["run"] for step in steps("preview.yml", "preview") if step.get("id") == "preview")
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$@"\necho "error: it" >&2\nexit {status}\n')
    make.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STACK": "prod", "RUNNER_TEMP": str(tmp_path)}
    env["GITHUB_OUTPUT"] = str(tmp_path / "outputs")
    # GitHub runs a step in this way: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
    result = subprocess.run(["bash", "-e", "-c", script], env=env, capture_output=True, text=True)
    assert result.returncode == status
    assert (tmp_path / "preview.txt").read_text() == result.stdout == "preview STACK=prod\nerror: it\n"
    assert (tmp_path / "outputs").read_text() == f"status={status}\n"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_starts_without_permissions_and_pins_all_that_it_uses(workflow: Path):
    text = workflow.read_text()
    parsed = yaml.safe_load(text)
    assert parsed["permissions"] == {}
    assert "pull_request_target" not in text, "it would give credentials to code from a fork"
    actions = re.findall(r"uses: (\S+)", text)
    assert actions
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in actions), actions
    for job in parsed["jobs"].values():
        image = job.get("container", {}).get("image", "@sha256:")
        assert "@sha256:" in image


def test_every_credential_is_given_to_single_steps_only():
    for workflow in WORKFLOWS:
        for name, job in yaml.safe_load(workflow.read_text())["jobs"].items():
            outside = {key: value for key, value in job.items() if key != "steps"}
            assert "secrets." not in json.dumps(outside), f"{workflow.name}: {name}"


def test_the_runner_that_deploys_runs_no_other_job():
    runners = {(path.name, name): job["runs-on"] for path in WORKFLOWS for name, job in jobs(path.name).items()}
    assert "vars.RUNNER" in runners.pop(("deploy.yml", "deploy"))
    assert set(runners.values()) == {"ubuntu-24.04"}


# The facts of a push to main that passed ci.
PASSED = {
    "github.repository": "me/gantry",
    "github.sha": "c0ffee",
    "github.event.workflow_run.conclusion": "success",
    "github.event.workflow_run.event": "push",
    "github.event.workflow_run.head_repository.full_name": "me/gantry",
    "github.event.workflow_run.head_branch": "main",
    "github.event.workflow_run.head_sha": "c0ffee",
}


def holds(condition: str, facts: dict[str, str]) -> bool:
    """Whether a condition of comparisons is true for GitHub."""

    def value(term: str) -> str:
        return term[1:-1] if term.startswith("'") else facts[term]

    sides = [comparison.split(" == ") for comparison in condition.split(" && ")]
    return all(value(left) == value(right) for left, right in sides)


@pytest.mark.parametrize(
    ("changes", "deploys"),
    [
        ({}, True),
        ({"conclusion": "failure"}, False),
        ({"conclusion": "cancelled"}, False),
        ({"event": "pull_request"}, False),
        ({"head_repository.full_name": "stranger/gantry"}, False),
        ({"head_branch": "other"}, False),
        ({"head_sha": "0ld"}, False),
    ],
)
def test_only_a_push_to_main_that_passed_ci_is_deployed(changes: dict[str, str], deploys: bool):
    first = jobs("deploy.yml")["stacks"]
    facts = {**PASSED, **{f"github.event.workflow_run.{key}": value for key, value in changes.items()}}
    assert holds(first["if"], facts) is deploys
    assert jobs("deploy.yml")["deploy"]["needs"] == "stacks"


def test_a_deployment_uses_the_commit_that_ci_has_tested():
    [name] = trigger("deploy.yml")["workflow_run"]["workflows"]
    assert yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["name"] == name
    for job in ("stacks", "deploy"):
        [checkout] = [step for step in steps("deploy.yml", job) if "actions/checkout" in step.get("uses", "")]
        assert checkout["with"]["ref"] == "${{ github.event.workflow_run.head_sha }}"


def test_the_weekly_run_has_the_set_up_of_ci_and_runs_every_scenario_and_case_and_chaos():
    [ci], [weekly] = jobs("ci.yml").values(), jobs("weekly.yml").values()
    *before, clouds, releases, cases, chaos = weekly.pop("steps")
    assert before == ci.pop("steps")[:-1]
    assert clouds == {"run": "make test ARGS=tests/clouds", "env": {"CLOUDS": "all", "KILLS": 30}}
    assert releases == {
        "run": "make test ARGS=tests/machine/test_faults_of_releases.py",
        "env": {"RELEASE_KILLS": 50, "ROUNDS": 50},
    }
    assert cases == {
        "run": "make test ARGS='tests/machine/test_cases.py tests/machine/test_apps_under_load.py'",
        "env": {"GANTRY_ALL_CASES": 1},
    }
    assert chaos == {"run": "make bench ARGS=chaos"}
    assert weekly.pop("timeout-minutes") > ci.pop("timeout-minutes")
    assert weekly == ci
    assert set(trigger("weekly.yml")) == {"schedule", "workflow_dispatch"}


def trigger(workflow: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as True.
    return yaml.safe_load((ROOT / ".github/workflows" / workflow).read_text())[True]
