"""Imports the modules of a target: ``settings`` declares its settings, ``target`` has its classes.

The settings of every target are imported: an error names the targets that have a key. The module ``target`` loads a
cloud's SDK, so only that of the chosen target is imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from components.targets import TARGETS

if TYPE_CHECKING:
    from components.aws import target as aws
    from components.aws.settings import AwsSettings
    from components.digitalocean import target as digitalocean
    from components.digitalocean.settings import DigitalOceanSettings
    from components.local import target as local
    from components.local.settings import LocalSettings
    from components.settings.common import TargetSettings
    from components.target import Target

    # The type checker compares each target's module with the protocol.
    _aws: Target[aws.Network, AwsSettings] = aws
    _digitalocean: Target[digitalocean.Network, DigitalOceanSettings] = digitalocean
    _local: Target[local.Network, LocalSettings] = local


def settings_type(name: str) -> type[TargetSettings]:
    """The dataclass that declares the settings of the target ``name``: SETTINGS of its module ``settings``."""
    return importlib.import_module(f"{TARGETS[name]}.settings").SETTINGS


def load(name: str) -> Target[object, TargetSettings]:
    """The classes of the target ``name``. Each of them fits only the others of the same target."""
    return cast("Target[object, TargetSettings]", importlib.import_module(f"{TARGETS[name]}.target"))
