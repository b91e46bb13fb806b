"""Servers that are machines on this computer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.local.address import Address
    from components.local.balancer import Balancer
    from components.local.network import Network
    from components.local.server import Server
    from components.target import AddressArgs, BalancerArgs, NetworkArgs, ServerArgs

__all__ = ["Address", "AddressArgs", "Balancer", "BalancerArgs", "Network", "NetworkArgs", "Server", "ServerArgs"]


def __getattr__(name: str) -> Any:
    # The library below needs no Pulumi and is used without it, so its SDKs are loaded at the first use.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "components.target" if name.endswith("Args") else f"components.local.{name.lower()}"
    return getattr(importlib.import_module(home), name)
