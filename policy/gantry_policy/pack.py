"""The rules of all modules, in the order in which docs/policy.md lists them."""

from __future__ import annotations

from gantry_policy import aws, digitalocean, remote
from gantry_policy.rules import Rule, StackRule

RULES: list[Rule | StackRule] = [*remote.RULES.all, *aws.RULES.all, *digitalocean.RULES.all]
