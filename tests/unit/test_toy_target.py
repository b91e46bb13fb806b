"""A target can be added without a change in components/, except for its name in components/targets.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from components import targets
from components.settings.common import Settings
from tests.mocks import Recorder, build_fleet
from tests.stack_settings import mistakes, read, read_for_target
from tests.unit.toy_target.settings import ToySettings
from tools.settings import page, schema

if TYPE_CHECKING:
    from components.target import Target
    from tests.unit.toy_target import target as toy

    # The type checker compares the toy's module with the protocol.
    _toy: Target[toy.Network, ToySettings] = toy


@pytest.fixture(autouse=True)
def add_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(targets.TARGETS, "toy", "tests.unit.toy_target")


def build(root: Path, settings: Settings) -> Recorder:
    recorder = build_fleet(root, settings, stack="prod")
    assert recorder.lookups == []
    return recorder


def test_its_settings_are_read_and_defaulted(root: Path):
    assert read_for_target(root, ToySettings, target="toy", room="attic", boxSize=5) == ToySettings(
        room="attic", box_size=5
    )
    assert read_for_target(root, ToySettings, target="toy", room="attic") == ToySettings(room="attic", box_size=3)


@pytest.mark.parametrize(
    ("values", "mistake"),
    [
        (
            {},
            "room is needed by target toy: the name of a room, such as attic;"
            " set it with: pulumi config set room <value>",
        ),
        (
            {"room": "2nd"},
            "room is '2nd', but must be the name of a room, such as attic; set it with: pulumi config set room <value>",
        ),
        (
            {"room": "attic", "boxSize": 10},
            "boxSize is '10', but must be a whole number from 1 to 9; set it with: pulumi config set boxSize <value>",
        ),
        (
            {"room": "attic", "boxSize": 6, "servers": 2},
            "boxSize is 6, but must be at most 5 for several servers; set it with: pulumi config set boxSize <value>",
        ),
        (
            {"room": "attic", "backups": True},
            "backups is a setting of target digitalocean, not of toy; remove it with: pulumi config rm backups",
        ),
    ],
)
def test_the_error_for_a_wrong_setting_has_rule_and_remedy(root: Path, values: dict[str, Any], mistake: str):
    assert mistakes(root, target="toy", **values).splitlines()[1:] == [f"  - {mistake}"]


@pytest.mark.parametrize(
    "values",
    [
        {"target": "local"},
        {"target": "aws", "region": "eu-central-1", "sshFrom": ["203.0.113.7/32"]},
        {"target": "digitalocean", "region": "fra1", "sshFrom": ["203.0.113.7/32"]},
    ],
    ids=lambda values: values["target"],
)
def test_other_targets_refuse_its_settings(root: Path, values: dict[str, Any]):
    lines = mistakes(root, **values, room="attic", boxSize=5).splitlines()[1:]
    assert lines == [
        f"  - {key} is a setting of target toy, not of {values['target']}; remove it with: pulumi config rm {key}"
        for key in ("room", "boxSize")
    ]


def test_the_error_for_an_unknown_target_lists_it(root: Path):
    assert "must be one of: local, aws, digitalocean, toy" in mistakes(root, target="azure")


def test_its_settings_are_in_the_schema():
    config = schema.schema()
    assert config["room"] == {"type": "string", "default": "", "description": "toy: Room that the boxes are in."}
    assert config["boxSize"] == {"type": "integer", "default": 3, "description": "toy: Size of each box."}


def test_its_settings_are_on_the_page():
    _, section = page.settings_page().split("## Toy\n")
    assert section.strip() == SECTION.strip()


SECTION = """
### `room`

Target `toy`: Room that the boxes are in.

- Must be the name of a room, such as attic.
- Default: none, it is needed.
- Example:

  ```console
  $ bin/pulumi config set --stack dev room attic
  ```

### `boxSize`

Target `toy`: Size of each box.

- Must be a whole number from 1 to 9.
- Default: `3`.
- Example:

  ```console
  $ bin/pulumi config set --stack dev boxSize 5
  ```
"""


def test_a_stack_of_one_server_has_its_address_as_entrypoint(root: Path):
    stack = build(root, read(root, target="toy", room="attic"))
    assert stack.one("toy:index:Room").inputs["room"] == "attic"
    box = stack.one("toy:index:Box")
    assert (box.name, box.inputs["size"], box.inputs["room"]) == ("prod-0", 3, stack.one("toy:index:Room").id)
    [server] = stack.output["servers"]
    assert (server["name"], server["instance_id"]) == ("prod-0", box.id)
    assert stack.output["url"] == f"http://{server['address']}/"
    release = stack.one(":Command", "prod-0-release")
    assert release.inputs["connection"]["value"]["host"] == server["address"]
    assert stack.output["release"] == "3f2a91c0ffee"
    assert not stack.of_type("toy:index:Switch")


def test_a_stack_of_two_servers_has_the_targets_own_balancer(root: Path):
    stack = build(root, read(root, target="toy", room="attic", boxSize=5, servers=2))
    boxes = {box.name: box for box in stack.of_type("toy:index:Box")}
    assert set(boxes) == {"prod-0", "prod-1"}
    assert {box.inputs["size"] for box in boxes.values()} == {5}
    switch = stack.one("toy:index:Switch")
    assert switch.inputs["health_path"] == "/"
    balancer = stack.output["url"].removeprefix("http://").rstrip("/")
    assert balancer not in {server["address"] for server in stack.output["servers"]}
    for number in (0, 1):
        cable = stack.one("toy:index:Cable", f"prod-{number}-cable")
        assert (cable.inputs["switch"], cable.inputs["box"]) == (switch.id, boxes[f"prod-{number}"].id)
        assert {"prod-0-confirm", "prod-1-confirm", f"prod-{number}-leaving"} <= cable.dependency_names
        assert f"set_real_ip_from {balancer};" in stack.one(":Command", f"prod-{number}-configure").inputs["stdin"]
        assert f"prod-{number}-cable" in stack.one(":Command", f"prod-{number}-joined").dependency_names
        assert {"prod-0-joined", "prod-1-joined"} <= stack.one(":Command", f"prod-{number}-closed").dependency_names
