"""Where things lie. Everything that is generated is in one git-ignored folder of the checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / ".gantry"
VENV = GENERATED / "venv"
POLICY_VENV = GENERATED / "policy"
POLICY_PACK = ROOT / "policy" / "pack"
OWN_UV = GENERATED / "uv"
ACTIONLINT = GENERATED / "actionlint"
ENGINE = GENERATED / "engine"
LOCAL_STATE = GENERATED / "state"
LOGS = GENERATED / "logs"
