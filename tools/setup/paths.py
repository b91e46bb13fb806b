"""Paths in this checkout. Everything that is generated is in one folder, .gantry, which git ignores."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POLICY_PACK = ROOT / "policy" / "pack"
OFFLINE = ROOT / "tools" / "offline"
ENGINE_MODULES = OFFLINE / "engine"

GENERATED = ROOT / ".gantry"
VENV = GENERATED / "venv"
POLICY_VENV = GENERATED / "policy"
UV_VENV = GENERATED / "uv"
ACTIONLINT = GENERATED / "actionlint"
ENGINE = GENERATED / "engine"
PULUMI_HOME = GENERATED / "pulumi"
LOCAL_STATE = GENERATED / "state"
LOGS = GENERATED / "logs"
LOCK = GENERATED / "lock"
