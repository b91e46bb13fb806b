"""The classes of the target digitalocean, as components/target.py describes them."""

from __future__ import annotations

from components.digitalocean.address import Address
from components.digitalocean.balancer import Balancer
from components.digitalocean.network import Network
from components.digitalocean.server import Server
from components.digitalocean.volume import Volume

__all__ = ["Address", "Balancer", "Network", "Server", "Volume"]
