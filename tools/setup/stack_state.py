"""Reads the state of a stack before the engine changes it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tools.setup import backend
from tools.setup.paths import ROOT
from tools.setup.report import SetupError

Deployment = dict[str, Any]


def read(pulumi: Sequence[str], stack: str, env: Mapping[str, str]) -> Deployment:
    """The field ``deployment`` of ``pulumi stack export``; secrets are encrypted. Empty for a stack without a state.

    A state in a file on this computer is read directly, because the engine would need half a second.
    """
    file = backend.state_file(env.get("PULUMI_BACKEND_URL", ""), ROOT / "Pulumi.yaml", stack)
    # The engine compresses the file if PULUMI_SELF_MANAGED_STATE_GZIP is set.
    if file is None or file.with_name(f"{file.name}.gz").is_file():
        return exported(pulumi, stack, env)
    if not file.is_file():
        return {}
    # The format is the engine's apitype.VersionedCheckpoint: sdk/go/common/apitype/core.go of pulumi/pulumi.
    return json.loads(file.read_bytes())["checkpoint"].get("latest") or {}


def exported(pulumi: Sequence[str], stack: str | None, env: Mapping[str, str], *, secrets: bool = False) -> Deployment:
    """The same, read by the engine. None means the selected stack. With ``secrets``, they are in plain text.

    Raises SetupError with the engine's message.
    """
    words = ["stack", "export", *(["--stack", stack] if stack else []), *(["--show-secrets"] if secrets else [])]
    # A question for the passphrase would be invisible here.
    result = subprocess.run([*pulumi, *words, "--non-interactive"], env=env, capture_output=True, text=True)
    if result.returncode != 0:
        raise SetupError(f"The state of the stack can't be read:\n{result.stderr.strip()}")
    return json.loads(result.stdout).get("deployment") or {}
