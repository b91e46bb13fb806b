"""The classes of the target aws, as components/target.py describes them."""

from __future__ import annotations

from components.aws.address import Address
from components.aws.balancer import Balancer
from components.aws.network import Network
from components.aws.server import Server
from components.aws.volume import Volume

__all__ = ["Address", "Balancer", "Network", "Server", "Volume"]
