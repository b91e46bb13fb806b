"""Settings as a stack would have them, for tests that change a few, and settings as they are read."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import target_loader
from components.app.source import Source
from components.settings import reader
from components.settings.common import Settings
from components.settings.reader import SettingsError


def settings(**changed: Any) -> Settings:
    """The settings of one small server without a watch; ``changed`` has fields, also of the target's settings."""
    target_type = target_loader.settings_type(changed.get("target", "local"))
    names = {field.name for field in fields(target_type)}
    of_target = target_type(**{name: value for name, value in changed.items() if name in names})
    common = {name: value for name, value in changed.items() if name not in names}
    return Settings(**{"app": Path(), "health_path": "/healthz", "watch": 0, **common}, of_target=of_target)


def read(root: Path, secret: list[str] | None = None, **values: object) -> Settings:
    """The settings of a stack with these values in its file, some of them secret."""
    config = {f"gantry:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    pulumi.runtime.set_all_config(config, [f"gantry:{key}" for key in secret or []])
    draft = reader.read(root, pulumi.Config("gantry"))
    return draft.check(Source(draft.settings.app, draft.settings.release).procfile())


def mistakes(root: Path, secret: list[str] | None = None, **values: object) -> str:
    """The text of the error for these values, with all mistakes."""
    with pytest.raises(SettingsError) as error:
        read(root, secret, **values)
    return str(error.value)
