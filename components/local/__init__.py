"""Servers that are machines on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.local.balancer import Balancer, BalancerArgs
    from components.local.network import Network, NetworkArgs
    from components.local.server import Server, ServerArgs

__all__ = ["Balancer", "BalancerArgs", "Network", "NetworkArgs", "Server", "ServerArgs"]


def __getattr__(name: str) -> Any:
    # The library below needs no Pulumi and is used without it, so its SDKs are loaded at the first use.
    if name in ("Balancer", "BalancerArgs"):
        from components.local import balancer

        return getattr(balancer, name)
    if name in ("Network", "NetworkArgs"):
        from components.local import network

        return getattr(network, name)
    if name in ("Server", "ServerArgs"):
        from components.local import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
