"""Settings as a stack would have them, for tests that change a few, and as they are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.settings import Settings, SettingsError
from components.settings import read as read_settings


def settings(**changed: Any) -> Settings:
    """Those of one small server without a watch."""
    usual = Settings(
        target="local", app=Path(), release=None, domain=None,
        health_path="/healthz", health_status=None, health_timeout=30, health_interval=None, watch=0,
        workers=None, threads=4, network=None,
        servers=1, balancer=False, canary=True, batch=None, maintenance=False,
        processes={}, cron=(), release_timeout=600, stop_timeout=60, env={},
    )  # fmt: skip
    return replace(usual, **changed)


def read(root: Path, secret: list[str] | None = None, **given: object) -> Settings:
    """The settings of a stack with these in its file, some of them secret."""
    config = {f"gantry:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    pulumi.runtime.set_all_config(config, [f"gantry:{key}" for key in secret or []])
    return read_settings(root, pulumi.Config("gantry"))


def mistakes(root: Path, secret: list[str] | None = None, **given: object) -> str:
    """What is said of them, all at once."""
    with pytest.raises(SettingsError) as caught:
        read(root, secret, **given)
    return str(caught.value)
