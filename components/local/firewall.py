"""This computer's firewall rules for a local network: NAT, isolation, and forwarding where other rules drop it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.local import computer
from components.local.computer import run

# The two variants of iptables don't show each other's rules. A computer may use one or both.
_IPTABLES = ("iptables-nft", "iptables-legacy")


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A chain of nftables."""

    family: str
    table: str
    name: str


def table_script(network_id: str, cidr: str) -> str:
    """The nftables table of a network: NAT for outgoing packets, and no packets from other local networks."""
    return f"""\
table ip {network_id}
delete table ip {network_id}
table ip {network_id} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {cidr} oifname != "{network_id}" masquerade
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "gantry-*" iifname != "{network_id}" oifname "{network_id}" drop
    }}
}}
"""


def dropping_chains(ruleset: dict[str, Any]) -> list[Chain]:
    """The chains of ``nft -j list chains`` that drop forwarded IPv4 packets by default."""
    return [
        Chain(family=chain["family"], table=chain["table"], name=chain["name"])
        for item in ruleset.get("nftables", [])
        if (chain := item.get("chain", {})).get("hook") == "forward"
        and chain.get("policy") == "drop"
        and chain["family"] in ("ip", "inet")
    ]


def accept_rules(chain: Chain, network_id: str) -> list[list[str]]:
    """The commands that let the chain accept the network's packets.

    The rules must be in that chain: a packet passes only if no chain drops it, so rules in another table don't help.
    """
    insert = ["nft", "insert", "rule", chain.family, chain.table, chain.name]
    directions = ("iifname", "oifname")
    return [[*insert, direction, network_id, "accept", "comment", f'"{network_id}"'] for direction in directions]


def iptables_rules(tool: str, action: str, network_id: str) -> list[list[str]]:
    """The commands that insert (``-I``) or delete (``-D``) the network's rules with a variant of iptables."""
    rule = ["-j", "ACCEPT", "-m", "comment", "--comment", network_id]
    return [[tool, "-w", action, "FORWARD", direction, network_id, *rule] for direction in ("-i", "-o")]


def add_rules(network_id: str, cidr: str) -> None:
    """Adds the network's rules. They replace older ones of this network."""
    run(["nft", "-f", "-"], stdin=table_script(network_id, cidr))
    _remove_accept_rules(network_id)
    chains_of_iptables: set[Chain] = set()
    for tool in _iptables():
        if run([tool, "-w", "-S", "FORWARD"], check=False).stdout.startswith("-P FORWARD DROP"):
            for command in iptables_rules(tool, "-I", network_id):
                run(command)
            chains_of_iptables.add(Chain(family="ip", table="filter", name="FORWARD"))
    for chain in dropping_chains(json.loads(run(["nft", "-j", "list", "chains"]).stdout)):
        if chain not in chains_of_iptables:
            for command in accept_rules(chain, network_id):
                run(command)


def has_table(network_id: str) -> bool:
    """Whether the network's table exists. A reload of this computer's own firewall may have removed it."""
    return run(["nft", "list", "table", "ip", network_id], check=False).returncode == 0


def remove_rules(network_id: str) -> None:
    """Removes every rule of the network."""
    run(["nft", "-f", "-"], stdin=f"table ip {network_id}\ndelete table ip {network_id}\n")
    _remove_accept_rules(network_id)


def _remove_accept_rules(network_id: str) -> None:
    for tool in _iptables():
        for command in iptables_rules(tool, "-D", network_id):
            while run(command, check=False).returncode == 0:
                pass
    for command in delete_commands(run(["nft", "-a", "list", "ruleset"]).stdout, network_id):
        # Another program may have flushed the chain meanwhile.
        run(command, check=False)


def delete_commands(ruleset: str, network_id: str) -> list[list[str]]:
    """The commands that delete the rules with the network's comment, from the output of ``nft -a list ruleset``."""
    commands: list[list[str]] = []
    table: list[str] = []
    chain = ""
    for line in ruleset.splitlines():
        if match := re.match(r"table (\S+) (\S+) \{", line):
            table = [match[1], match[2]]
        elif match := re.match(r"\s+chain (\S+) \{", line):
            chain = match[1]
        elif match := re.search(rf'comment "{re.escape(network_id)}" # handle (\d+)$', line):
            commands.append(["nft", "delete", "rule", *table, chain, "handle", match[1]])
    return commands


def _iptables() -> list[str]:
    """The variants of iptables in use. The legacy one isn't run without need, because that would load its modules."""
    path = computer.command_env()["PATH"]
    tools = [tool for tool in _IPTABLES if shutil.which(tool, path=path)]
    if "iptables-legacy" in tools and "filter" not in _legacy_tables():
        tools.remove("iptables-legacy")
    return tools


def _legacy_tables() -> str:
    try:
        return Path("/proc/net/ip_tables_names").read_text()
    except OSError:
        return ""
