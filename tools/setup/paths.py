"""Where things lie. Everything that is generated is in one git-ignored folder of the checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / ".gantry"
VENV = GENERATED / "venv"
OWN_UV = GENERATED / "uv"
ENGINE = GENERATED / "engine"
LOCAL_STATE = GENERATED / "state"
LOGS = GENERATED / "logs"
