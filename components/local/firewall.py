"""The host's packet filter, as far as machines need it: NAT, and a way past a FORWARD policy of drop."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.local import host
from components.local.host import run

# iptables comes in two kinds that don't see each other's rules; a host may use either, or both.
_IPTABLES = ("iptables-nft", "iptables-legacy")


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A chain of nftables that drops what it doesn't know of forwarded packets."""

    family: str
    table: str
    name: str


def table_script(id: str, cidr: str) -> str:
    """The table of one network: NAT for what leaves it, and no way in from the networks of other stacks."""
    return f"""\
table ip {id}
delete table ip {id}
table ip {id} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {cidr} oifname != "{id}" masquerade
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "gantry-*" iifname != "{id}" oifname "{id}" drop
    }}
}}
"""


def dropping_chains(ruleset: dict[str, Any]) -> list[Chain]:
    """The base chains of `nft -j list chains` whose policy drops what is forwarded."""
    found: list[Chain] = []
    for item in ruleset.get("nftables", []):
        chain = item.get("chain", {})
        if chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain["family"] in ("ip", "inet"):
            found.append(Chain(family=chain["family"], table=chain["table"], name=chain["name"]))
    return found


def accept_rules(chain: Chain, id: str) -> list[list[str]]:
    """An accept in a table of our own would not do: a packet passes only when no chain drops it."""
    where = ["nft", "insert", "rule", chain.family, chain.table, chain.name]
    return [[*where, direction, id, "accept", "comment", f'"{id}"'] for direction in ("iifname", "oifname")]


def iptables_rules(tool: str, action: str, id: str) -> list[list[str]]:
    rule = ["-j", "ACCEPT", "-m", "comment", "--comment", id]
    return [[tool, "-w", action, "FORWARD", direction, id, *rule] for direction in ("-i", "-o")]


def allow(id: str, cidr: str) -> None:
    """Makes the rules of this network, in place of any that were there."""
    run(["nft", "-f", "-"], stdin=table_script(id, cidr))
    _forbid_forwarding(id)
    by_iptables: set[Chain] = set()
    for tool in _iptables():
        if run([tool, "-w", "-S", "FORWARD"], check=False).stdout.startswith("-P FORWARD DROP"):
            for command in iptables_rules(tool, "-I", id):
                run(command)
            by_iptables.add(Chain(family="ip", table="filter", name="FORWARD"))
    for chain in dropping_chains(json.loads(run(["nft", "-j", "list", "chains"]).stdout)):
        if chain not in by_iptables:
            for command in accept_rules(chain, id):
                run(command)


def has_table(id: str) -> bool:
    """A reload of the host's own rules may have flushed ours."""
    return run(["nft", "list", "table", "ip", id], check=False).returncode == 0


def forbid(id: str) -> None:
    """Removes every rule of this network."""
    run(["nft", "-f", "-"], stdin=f"table ip {id}\ndelete table ip {id}\n")
    _forbid_forwarding(id)


def _forbid_forwarding(id: str) -> None:
    for tool in _iptables():
        for command in iptables_rules(tool, "-D", id):
            while run(command, check=False).returncode == 0:
                pass
    for command in delete_commands(run(["nft", "-a", "list", "ruleset"]).stdout, id):
        # Another program may have flushed the chain meanwhile.
        run(command, check=False)


def delete_commands(ruleset: str, id: str) -> list[list[str]]:
    """Deletes the rules with our comment from the listing of `nft -a list ruleset`."""
    commands: list[list[str]] = []
    table: list[str] = []
    chain = ""
    for line in ruleset.splitlines():
        if match := re.match(r"table (\S+) (\S+) \{", line):
            table = [match[1], match[2]]
        elif match := re.match(r"\s+chain (\S+) \{", line):
            chain = match[1]
        elif match := re.search(rf'comment "{re.escape(id)}" # handle (\d+)$', line):
            commands.append(["nft", "delete", "rule", *table, chain, "handle", match[1]])
    return commands


def _iptables() -> list[str]:
    """The kinds of iptables that this host has rules of; asking the legacy kind would load its modules."""
    path = host.environment()["PATH"]
    found = [tool for tool in _IPTABLES if shutil.which(tool, path=path)]
    if "iptables-legacy" in found and "filter" not in _legacy_tables():
        found.remove("iptables-legacy")
    return found


def _legacy_tables() -> str:
    try:
        return Path("/proc/net/ip_tables_names").read_text()
    except OSError:
        return ""
