from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from host import outcomes
from tools.setup.engine_events import events
from tools.setup.failure import Diagnostic, failures, summary

STACK = "urn:pulumi:dev::gantry::pulumi:pulumi:Stack::gantry-dev"
COMMAND = "urn:pulumi:dev::gantry::gantry:release:Rollout$command:remote:Command::dev-1-release"
NETWORK = "urn:pulumi:dev::gantry::gantry:local:Network$pulumi-python:dynamic/gantry/local:Network::dev"
RELEASE = f"""Process exited with status 1: running "sudo gantry release 3f2a --cron '* *' \\"a\\"":
lock           0.00 s
error: the app doesn't start:
Traceback (most recent call last):
KeyError: 'X'
]
{outcomes.ROLLED_BACK}
The app needs the variable X: pulumi config set --path env.X <value>"""


def last_lines(*diagnostics: tuple[str, str, str]) -> list[str]:
    return summary(failures([Diagnostic(*diagnostic) for diagnostic in diagnostics]), "dev").splitlines()


def test_the_last_lines_say_what_failed_where_and_why_what_serves_and_how_to_go_on():
    assert last_lines(
        (COMMAND, "error", RELEASE),
        ("", "warning", "dev-1-release failed; dev-0: release 9c1b is serving"),
        (STACK, "error", "update failed"),
    ) == [
        "make up failed:",
        "  dev-1-release: the app doesn't start: The app needs the variable X: pulumi config set --path env.X <value>",
        f"  {outcomes.ROLLED_BACK}",
        "  dev-0: release 9c1b is serving",
        "To look at the server:",
        "  bin/ssh --stack dev dev-1 sudo gantry check",
        "  bin/ssh --stack dev dev-1 sudo gantry status",
        "  bin/ssh --stack dev dev-1 sudo journalctl --unit 'gantry-*@*' --lines 100",
        "To go on, correct the cause and run:",
        "  make up",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (RELEASE.rpartition("\n")[0], "dev-1-release: the app doesn't start: KeyError: 'X'"),
        # A line of the app, and of the program that waits for it.
        (
            RELEASE.rpartition("\n")[0].replace("\n]", "\nerror: the web process has ended"),
            "dev-1-release: the app doesn't start: KeyError: 'X'",
        ),
        ("after 30 failed attempts: dial tcp 10.0.0.2:22", "dev-1-release: after 30 failed attempts: dial tcp"),
        (
            'Process exited with status 1: running "sudo ready":\nthe first boot failed:\nE: no mirror\n]',
            "E: no mirror",
        ),
        (
            'the connection to 10.0.0.2:22 was lost: running "sudo gantry release 3f2a":\nlock           0.01 s',
            "dev-1-release: the connection to 10.0.0.2:22 was lost",
        ),
    ],
)
def test_the_cause_is_found_in_the_errors_of_commands(text: str, line: str):
    assert line in last_lines((COMMAND, "error", text))[1]


@pytest.mark.parametrize(
    "text",
    [
        "failed to write /opt/gantry/incoming/3f2a.tar: 4096 of 102400 bytes arrived",
        'failed to copy file a/3f2a.tar to remote path /opt/gantry/incoming/3f2a.tar: sftp: "Failure" (SSH_FX_FAILURE)',
    ],
    ids=["of the offline plugin", "of Pulumi's plugin"],
)
def test_an_upload_that_a_server_cannot_write_names_its_disk(text: str):
    upload = COMMAND.replace("command:remote:Command::dev-1-release", "command:remote:CopyToRemote::dev-1-app")
    lines = last_lines((upload, "error", text))
    assert lines[1].startswith("  dev-1-app: failed to ")
    assert "Its disk may have too little space: `df -h /` shows that." in "\n".join(lines)
    assert "  bin/ssh --stack dev dev-1 sudo gantry check" in lines


def test_a_failure_that_is_not_on_a_server_names_no_server():
    text = "Exception calling application: The address range 10.77.0.0/24 overlaps 10.77.0.0/16"
    assert last_lines((NETWORK, "error", text)) == [
        "make up failed:",
        "  dev: The address range 10.77.0.0/24 overlaps 10.77.0.0/16",
        "To go on, correct the cause and run:",
        "  make up",
    ]


def test_an_error_in_the_settings_is_not_repeated():
    assert last_lines((STACK, "error", "the stack's settings can't work:"), ("", "error", "update failed")) == []


def outputs_event(type_: str, outputs: dict[str, str] | None) -> str:
    """An event of the engine, as `pulumi up --event-log` 3.259.0 writes it."""
    urn = f"urn:pulumi:dev::gantry::{type_}::gantry-dev"
    new = None if outputs is None else {"type": type_, "urn": urn, "inputs": {}, "outputs": outputs}
    return json.dumps({"resOutputsEvent": {"metadata": {"op": "same", "urn": urn, "type": type_, "new": new}}})


def test_errors_and_warnings_of_the_engine_are_kept_without_a_loss_and_so_are_the_stacks_last_outputs():
    # More than fits into a pipe, in parts that aren't whole lines.
    program = """
import os, sys
text = sys.stdin.buffer.read()
pipe = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
while text:
    text = text[os.write(pipe, text[:9999]):]
"""
    diagnostics = [
        {"urn": COMMAND, "severity": "debug", "message": "PRIVATE KEY " * 20000},
        {"urn": COMMAND, "severity": "error", "message": "<{%fg 1%}>it failed<{%reset%}>\n"},
        *({"severity": "warning", "message": f"number {number}"} for number in range(2000)),
    ]
    lines = [json.dumps({"sequence": 1, "diagnosticEvent": diagnostic}) for diagnostic in diagnostics]
    lines += [outputs_event("gantry:local:Network", {"url": "no stack"}), outputs_event("pulumi:pulumi:Stack", None)]
    lines += [outputs_event("pulumi:pulumi:Stack", {"url": f"http://{host}"}) for host in ("before", "after")]
    lines.append(json.dumps({"summaryEvent": {}}))
    with events() as engine:
        command = [sys.executable, "-c", program, *engine.options]
        subprocess.run(command, input="".join(f"{line}\n" for line in lines).encode(), check=True, timeout=60)
    assert engine.diagnostics[0] == Diagnostic(COMMAND, "error", "it failed")
    assert [diagnostic.text for diagnostic in engine.diagnostics[1:]] == [f"number {number}" for number in range(2000)]
    assert engine.outputs == {"url": "http://after"}
    assert not Path(engine.options[1]).exists()
