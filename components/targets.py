"""The targets by name: each is a package with the modules ``settings`` and ``target``.

The settings of every target are read, to say which target knows a key. The module ``target`` loads a cloud's SDK, so
only the chosen target's is imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from components.settings.common import TargetSettings
    from components.target import Target

TARGETS = {"local": "components.local", "aws": "components.aws", "digitalocean": "components.digitalocean"}


def settings_type(name: str) -> type[TargetSettings]:
    """The dataclass that declares the settings of the target ``name``."""
    return importlib.import_module(f"{TARGETS[name]}.settings").SETTINGS


def load(name: str) -> Target[object, TargetSettings]:
    """The classes of the target ``name``; each fits the others of the same target only."""
    return cast("Target[object, TargetSettings]", importlib.import_module(f"{TARGETS[name]}.target"))


if TYPE_CHECKING:
    # The type checker compares each target's module with the protocol.
    from components.aws import target as aws
    from components.aws.settings import AwsSettings
    from components.digitalocean import target as digitalocean
    from components.digitalocean.settings import DigitalOceanSettings
    from components.local import target as local
    from components.local.settings import LocalSettings

    _aws: Target[aws.Network, AwsSettings] = aws
    _digitalocean: Target[digitalocean.Network, DigitalOceanSettings] = digitalocean
    _local: Target[local.Network, LocalSettings] = local
