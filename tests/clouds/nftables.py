"""A cloud's addresses and firewalls as nftables rules on this computer, which the machines themselves can't flush."""

from __future__ import annotations

import re

from tests.clouds.infrastructure import Rule, Topology

TABLE = "gantry_clouds"


def table_script(topology: Topology, blocked_sources: dict[str, tuple[str, ...]]) -> str:
    """The whole table. ``blocked_sources`` has, by server id, addresses whose packets never reach that server."""
    servers, balancers = topology.servers, topology.balancers
    translations = [
        f"ip daddr {public} dnat to {server.private_address}"
        for server in servers
        for public in server.public_addresses
    ]
    chains = [
        _chain(f"in_{_word(server.id)}", server.inbound, "saddr", blocked=blocked_sources.get(server.id, ()))
        for server in servers
    ]
    chains += [_chain(f"out_{_word(server.id)}", server.outbound, "daddr") for server in servers]
    chains += [_chain(f"in_{_word(balancer.id)}", balancer.inbound, "saddr") for balancer in balancers]
    to_servers = [f"ip daddr {server.private_address} jump in_{_word(server.id)}" for server in servers]
    from_servers = [f"ip saddr {server.private_address} jump out_{_word(server.id)}" for server in servers]
    to_balancers = [f"ip daddr {balancer.public_address} jump in_{_word(balancer.id)}" for balancer in balancers]
    established = "ct state established,related accept"
    body = "\n".join(
        [
            *chains,
            _hook_chain("translate_routed", "nat", hook="prerouting", priority=-100, rules=translations),
            _hook_chain("translate_local", "nat", hook="output", priority=-100, rules=translations),
            _hook_chain(
                "routed", "filter", hook="forward", priority=10, rules=[established, *from_servers, *to_servers]
            ),
            # The operator, strangers and balancers are processes of this computer.
            _hook_chain("local", "filter", hook="output", priority=10, rules=[established, *to_servers]),
            _hook_chain("balancers", "filter", hook="input", priority=10, rules=[established, *to_balancers]),
        ]
    )
    # The table is flushed, not deleted. A connection that begins while a hook is missing would stay untranslated.
    return f"table ip {TABLE}\nflush table ip {TABLE}\ntable ip {TABLE} {{\n{body}\n}}\n"


def removal_script() -> str:
    return f"table ip {TABLE}\ndelete table ip {TABLE}\n"


def _hook_chain(name: str, type_: str, *, hook: str, priority: int, rules: list[str]) -> str:
    lines = "\n".join(f"  {rule}" for rule in rules)
    return f" chain {name} {{\n  type {type_} hook {hook} priority {priority}; policy accept;\n{lines}\n }}"


def _chain(name: str, rules: tuple[Rule, ...] | None, side: str, *, blocked: tuple[str, ...] = ()) -> str:
    """Packets that a rule admits return to the calling chain. All others are dropped silently, as in a cloud."""
    lines = [f"  ip saddr {address} drop" for address in blocked]
    if rules is not None:
        lines += [f"  ip {side} {peer} {_ports(rule)} return" for rule in rules for peer in rule.peers]
        lines.append("  drop")
    return f" chain {name} {{\n" + "\n".join(lines) + "\n }"


def _ports(rule: Rule) -> str:
    if rule.protocol in ("tcp", "udp"):
        return f"{rule.protocol} dport {rule.low_port}-{rule.high_port}"
    return "" if rule.protocol == "all" else f"ip protocol {rule.protocol}"


def _word(id: str) -> str:
    """The id as nftables takes it in names."""
    return re.sub(r"\W", "_", id)
