"""Servers on EC2."""

from __future__ import annotations

from components.aws.address import Address
from components.aws.balancer import Balancer
from components.aws.network import Network
from components.aws.server import Server
from components.target import AddressArgs, BalancerArgs, NetworkArgs, ServerArgs

__all__ = ["Address", "AddressArgs", "Balancer", "BalancerArgs", "Network", "NetworkArgs", "Server", "ServerArgs"]
