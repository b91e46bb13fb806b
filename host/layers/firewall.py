"""The firewall: whether the kernel has the rules of its file, and whether they come back after a flush and a boot."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from host import systemd
from host.configure import apply, recorded
from host.errors import ReleaseError
from host.layers.finding import Finding
from host.paths import Paths

LAYER = "firewall"
EQUAL, DIFFERENT = 0, 1
# The tables of Gantry's own rules, on servers and on balancers.
OWN_TABLES = ("filter", "ports", "connections", "draining", "places")


def finding(paths: Paths) -> Finding:
    """Compare the rules with the file, and look at the units that load and restore them."""
    if not paths.firewall_keeper.exists():
        return Finding(layer=LAYER, note="not compared: an earlier version has configured this server")
    result = subprocess.run([str(paths.firewall_keeper), "compare"], capture_output=True, text=True)
    if result.returncode == DIFFERENT:
        return Finding(
            layer=LAYER,
            problem=f"the kernel's rules differ from those of {paths.firewall}: somebody has flushed or changed them",
            remedy="sudo systemctl reload-or-restart nftables",
            repair=lambda: systemd.require("reload-or-restart", "nftables"),
        )
    if result.returncode != EQUAL:
        return Finding(
            layer=LAYER,
            problem=f"{paths.firewall} can't be loaded: {_first_line(result.stderr)}",
            remedy="sudo gantry check --repair",
            repair=lambda: restore_files(paths),
        )
    return _units() or Finding(layer=LAYER, note=_foreign_rules())


def _units() -> Finding | None:
    """What is wrong with the units that load the rules at a boot and restore them after a change."""
    for unit, effect in (
        ("nftables.service", "after a boot there would be no rules"),
        (systemd.FIREWALL_UNIT, "changed rules would stay"),
    ):
        if systemd.systemctl("is-enabled", "--quiet", unit).returncode != 0:
            return Finding(
                layer=LAYER,
                problem=f"{unit} is disabled or masked: {effect}",
                remedy=f"sudo systemctl unmask {unit} && sudo systemctl enable --now {unit}",
                repair=lambda unit=unit: _enable(unit),
            )
    if systemd.systemctl("is-active", "--quiet", systemd.FIREWALL_UNIT).returncode != 0:
        return Finding(
            layer=LAYER,
            problem=f"{systemd.FIREWALL_UNIT} doesn't run: changed rules would stay",
            remedy=f"sudo systemctl start {systemd.FIREWALL_UNIT}",
            repair=lambda: systemd.require("start", systemd.FIREWALL_UNIT),
        )
    return None


def restore_files(paths: Paths) -> None:
    """Write the files that somebody has edited as `gantry configure` wrote them last, and reload their services."""
    if (configuration := recorded(paths)) is None:
        raise ReleaseError("this server doesn't have a copy of its configuration yet: run `make up` once")
    apply(paths, configuration)


def _foreign_rules() -> str:
    """Names tables of others that drop incoming packets, or "". A firewall of a person's own may be on purpose."""
    result = subprocess.run(["nft", "--json", "list", "ruleset"], capture_output=True, text=True)
    items: list[dict[str, Any]] = json.loads(result.stdout).get("nftables", []) if result.returncode == 0 else []
    chains = [chain for item in items if (chain := item.get("chain", {})).get("hook") in ("input", "prerouting")]
    tables = {
        f"{chain['family']} {chain['table']}"
        for chain in chains
        if chain["table"] not in OWN_TABLES and (chain.get("policy") == "drop" or _drops(items, chain))
    }
    names = ", ".join(sorted(tables))
    return f"rules of others drop or reject packets, too: table {names} (see: sudo nft list ruleset)" if tables else ""


def _drops(items: list[dict[str, Any]], chain: dict[str, Any]) -> bool:
    """Whether a rule of the chain drops or rejects packets."""
    place = (chain["family"], chain["table"], chain["name"])
    rules = [rule for item in items if (rule := item.get("rule"))]
    return any(
        (rule["family"], rule["table"], rule["chain"]) == place
        and any("drop" in statement or "reject" in statement for statement in rule["expr"])
        for rule in rules
    )


def _enable(unit: str) -> None:
    systemd.require("unmask", unit)
    systemd.require("enable", "--now", unit)


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "no reason given")
