"""Settings of a stack: made directly, with a few changes, or read from a configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pulumi
import pytest

from components import target_loader
from components.app.source import Source
from components.local import balancer_server
from components.server.limits import limits
from components.server.updates import updates
from components.settings import reader
from components.settings.common import Settings, TargetSettings
from components.settings.reader import SettingsError

S = TypeVar("S", bound=TargetSettings)


def make_settings(**changes: Any) -> Settings:
    """The settings of one small server without a watch. ``changes`` has fields of them or of the target's settings."""
    target_type = target_loader.settings_type(changes.get("target", "local"))
    names = {field.name for field in fields(target_type)}
    target_settings = target_type(**{name: value for name, value in changes.items() if name in names})
    common = {name: value for name, value in changes.items() if name not in names}
    return Settings(**{"app": Path(), "health_path": "/healthz", "watch": 0, **common}, target_settings=target_settings)


def balancer_files(addresses: Sequence[str] = ("10.0.0.2",), /, **changes: Any) -> dict[str, str]:
    """The files of the local target's balancer of servers with these addresses. ``changes`` as in ``make_settings``."""
    settings = make_settings(**changes)
    return balancer_server.configuration("/h.pyz", addresses, limits(settings), updates(settings)).files


def read(root: Path, *, secret: Sequence[str] = (), **values: Any) -> Settings:
    """Read settings whose file has these ``values``, by key. ``secret`` has the keys of secret ones."""
    config = {f"gantry:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    pulumi.runtime.set_all_config(config, [f"gantry:{key}" for key in secret])
    draft = reader.read(root, pulumi.Config("gantry"))
    return draft.check(Source(draft.settings.app, draft.settings.release).procfile())


def read_for_target(root: Path, settings_type: type[S], **values: Any) -> S:
    """Read settings, and return those that only their target knows."""
    target_settings = read(root, **values).target_settings
    assert isinstance(target_settings, settings_type)
    return target_settings


def mistakes(root: Path, *, secret: Sequence[str] = (), **values: Any) -> str:
    """The text of the error for these values, with all mistakes."""
    with pytest.raises(SettingsError) as error:
        read(root, secret=secret, **values)
    return str(error.value)
