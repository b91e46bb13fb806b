"""docs/clouds.md lists every resource of each shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mocks import AWS as EVERY_AWS
from tests.mocks import DIGITALOCEAN, SITE, Cloud, built

PAGE = Path(__file__).resolve().parents[2] / "docs/clouds.md"
# SSH from one network.
AWS = {**EVERY_AWS, "ssh_from": EVERY_AWS["ssh_from"][:1]}
MANY = {"servers": 2, "balancer": True}
SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "AWS": {
        "one server": AWS,
        "one server, zone": {**AWS, **SITE},
        "two servers": {**AWS, **MANY},
        "two servers, zone, logs": {**AWS, **MANY, **SITE, "access_logs": True},
    },
    "DigitalOcean": {
        "one server": DIGITALOCEAN,
        "one server, zone": {**DIGITALOCEAN, **SITE},
        "two servers": {**DIGITALOCEAN, **MANY},
        "two servers, zone": {**DIGITALOCEAN, **MANY, **SITE},
    },
}


def short(type_: str) -> str:
    """As the SDK's page calls it: ec2.Instance, Droplet."""
    _, module, name = type_.split(":")
    area = module.partition("/")[0]
    return name if area == "index" else f"{area}.{name}"


def counted(cloud: Cloud) -> dict[str, int]:
    return {short(type_): count for type_, count in cloud.counts().items()}


def table(section: str) -> dict[str, dict[str, int]]:
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
def test_the_page_lists_every_resource_of_each_shape_and_no_other(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = {shape: counted(built(tmp_path, monkeypatch, **given)) for shape, given in SHAPES[section].items()}
    assert table(section) == made
