"""The setting ``trustedProxies``: the networks of a CDN or another proxy in front of the site."""

from __future__ import annotations

import ipaddress
from typing import cast

from components.settings.declaration import Structured

# A network with a shorter prefix is too large to belong to proxies that one may trust.
_SHORTEST_PREFIX = {4: 8, 6: 16}
_COMMAND = "set it with: pulumi config set --path 'trustedProxies[{}]' <network>"


def networks() -> Structured[tuple[str, ...]]:
    return Structured(type="array", rule="a list of networks, such as 192.0.2.0/24 and 2001:db8::/32", read=_read)


def _read(value: object) -> tuple[tuple[str, ...], list[str]]:
    if not isinstance(value, list):
        return (), [f"trustedProxies must be a list; {_COMMAND.format(0)}"]
    valid, mistakes = list[str](), list[str]()
    for index, item in enumerate(cast(list[object], value)):
        try:
            valid.append(_network(item))
        except ValueError as error:
            mistakes.append(f"trustedProxies[{index}] is {item!r}, but {error}; {_COMMAND.format(index)}")
    return tuple(dict.fromkeys(valid)), mistakes


def _network(item: object) -> str:
    try:
        network = ipaddress.ip_network(item if isinstance(item, str) else "")
    except ValueError:
        raise ValueError("must be a network such as 192.0.2.0/24, without bits behind its prefix") from None
    shortest = _SHORTEST_PREFIX[network.version]
    if network.prefixlen < shortest:
        raise ValueError(f"must be a network of at least /{shortest}: visitors there could claim any address")
    return str(network)
