"""Servers on DigitalOcean."""

from __future__ import annotations

from components.digitalocean.address import Address
from components.digitalocean.balancer import Balancer
from components.digitalocean.network import Network
from components.digitalocean.server import Server
from components.target import AddressArgs, BalancerArgs, NetworkArgs, ServerArgs

__all__ = ["Address", "AddressArgs", "Balancer", "BalancerArgs", "Network", "NetworkArgs", "Server", "ServerArgs"]
