"""The classes of the local target. components/target.py describes them."""

from __future__ import annotations

from components.local.address import Address
from components.local.balancer import Balancer
from components.local.network import Network
from components.local.server import Server
from components.local.volume import Volume

__all__ = ["Address", "Balancer", "Network", "Server", "Volume"]
