"""docs/clouds.md lists every resource of each shape of a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mocks import AWS as AWS_WITH_IPV6
from tests.mocks import DIGITALOCEAN, SITE, build_stack

PAGE = Path(__file__).resolve().parents[2] / "docs/clouds.md"
# The tables count the rules for one network that may reach SSH.
AWS = {**AWS_WITH_IPV6, "ssh_from": AWS_WITH_IPV6["ssh_from"][:1]}
BALANCED = {"servers": 2, "balancer": True}
SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "AWS": {
        "one server": AWS,
        "one server, storage": {**AWS, "storage": 20},
        "one server, zone": {**AWS, **SITE},
        "two servers": {**AWS, **BALANCED},
        "two servers, zone, logs": {**AWS, **BALANCED, **SITE, "access_logs": True},
    },
    "DigitalOcean": {
        "one server": DIGITALOCEAN,
        "one server, storage": {**DIGITALOCEAN, "storage": 20},
        "one server, zone": {**DIGITALOCEAN, **SITE},
        "two servers": {**DIGITALOCEAN, **BALANCED},
        "two servers, zone": {**DIGITALOCEAN, **BALANCED, **SITE},
    },
}


def short_type(type_: str) -> str:
    """The name of a type in the SDK's documentation, such as ec2.Instance or Droplet."""
    _, module, name = type_.split(":")
    area = module.partition("/")[0]
    return name if area == "index" else f"{area}.{name}"


def resource_counts(folder: Path, shape: dict[str, Any]) -> dict[str, int]:
    return {short_type(type_): count for type_, count in build_stack(folder, **shape).counts().items()}


def counts_in_table(section: str) -> dict[str, dict[str, int]]:
    """The counts of a section's table, by shape and resource."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    head, _, *rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return {
        shape: {row[0]: int(row[number]) for row in rows if row[number]}
        for number, shape in enumerate(head)
        if shape in SHAPES[section]
    }


@pytest.mark.parametrize("section", SHAPES)
def test_the_page_lists_every_resource_of_each_shape_and_no_other(section: str, tmp_path: Path):
    counts = {name: resource_counts(tmp_path, shape) for name, shape in SHAPES[section].items()}
    assert counts_in_table(section) == counts
