"""All rules together."""

from __future__ import annotations

from gantry_policy import aws, digitalocean, remote
from gantry_policy.rule import Rule, StackRule

RULES: list[Rule | StackRule] = [*remote.RULES.all, *aws.RULES.all, *digitalocean.RULES.all]
