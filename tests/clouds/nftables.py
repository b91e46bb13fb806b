"""A cloud's addresses and firewalls as rules of nftables, outside of the machines: those flush their own."""

from __future__ import annotations

import re

from tests.clouds.infrastructure import Rule, View

TABLE = "gantry_clouds"


def script(view: View, cut_off: dict[str, tuple[str, ...]]) -> str:
    """The whole table; ``cut_off`` are machines that these addresses don't reach."""
    moves = [f"ip daddr {public} dnat to {each.private}" for each in view.instances for public in each.publics]
    chains = [
        _chain(f"in_{_word(each.id)}", each.inbound, "saddr", cut_off.get(each.id, ())) for each in view.instances
    ]
    chains += [_chain(f"out_{_word(each.id)}", each.outbound, "daddr", ()) for each in view.instances]
    chains += [_chain(f"in_{_word(each.id)}", each.inbound, "saddr", ()) for each in view.balancers]
    to = [f"ip daddr {each.private} jump in_{_word(each.id)}" for each in view.instances]
    out = [f"ip saddr {each.private} jump out_{_word(each.id)}" for each in view.instances]
    front = [f"ip daddr {each.public} jump in_{_word(each.id)}" for each in view.balancers]
    known = "ct state established,related accept"
    body = "\n".join(
        [
            *chains,
            _base("arriving", "nat", "prerouting", -100, moves),
            _base("leaving", "nat", "output", -100, moves),
            _base("forward", "filter", "forward", 10, [known, *out, *to]),
            # The operator, strangers and balancers are on this computer itself.
            _base("here", "filter", "output", 10, [known, *to]),
            _base("fronts", "filter", "input", 10, [known, *front]),
        ]
    )
    # The chains stay: between the removal of a hook and its return a connection would begin untranslated, and stay so.
    return f"table ip {TABLE}\nflush table ip {TABLE}\ntable ip {TABLE} {{\n{body}\n}}\n"


def removal() -> str:
    return f"table ip {TABLE}\ndelete table ip {TABLE}\n"


def _base(name: str, type_: str, hook: str, priority: int, rules: list[str]) -> str:
    lines = "\n".join(f"  {rule}" for rule in rules)
    return f" chain {name} {{\n  type {type_} hook {hook} priority {priority}; policy accept;\n{lines}\n }}"


def _chain(name: str, rules: tuple[Rule, ...] | None, side: str, cut_off: tuple[str, ...]) -> str:
    """What matches goes on to the next chain; the rest is dropped, without a word as a cloud does."""
    lines = [f"  ip saddr {address} drop" for address in cut_off]
    if rules is not None:
        lines += [f"  ip {side} {peer} {_ports(rule)} return" for rule in rules for peer in rule.peers]
        lines.append("  drop")
    return f" chain {name} {{\n" + "\n".join(lines) + "\n }"


def _ports(rule: Rule) -> str:
    if rule.protocol in ("tcp", "udp"):
        return f"{rule.protocol} dport {rule.low}-{rule.high}"
    return "" if rule.protocol == "all" else f"ip protocol {rule.protocol}"


def _word(id: str) -> str:
    return re.sub(r"\W", "_", id)
