"""Whether the servers of a stack fit into the network that its settings choose."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from components.settings.common import CommonSettings, Conflict


def no_room(common: CommonSettings, network: str | None, capacity: Callable[[str], int]) -> Iterator[Conflict]:
    """A mistake if the servers and as many replacements don't fit into ``network``; None is not chosen.

    ``capacity`` says how many servers fit into a network, with as many replacements.
    """
    if network and common.servers > capacity(network):
        yield (
            ("servers", "network"),
            f"servers is {common.servers}, but network {network} has room for {capacity(network)} that can all be"
            " replaced at once; set a larger one with: pulumi config set network <value>",
        )


def without_subnets(network: str) -> int:
    """The capacity of a network without subnets.

    The network's own address, the gateway and broadcasts take one address each. A balancer may be replaced as well.
    """
    return (ipaddress.IPv4Network(network).num_addresses - 3) // 2 - 1
