"""A setting of target aws that is taken away takes effect.

AWS keeps the value of some inputs when the program leaves them out. The schemas in tests/clouds name them: `computed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clouds.aws import TYPE_MODULES
from tests.mocks import AWS, SITE, build_stack

BALANCER: dict[str, Any] = {**AWS, "servers": 2, "balancer": True}
SETTINGS: list[dict[str, Any]] = [
    {**AWS, **SITE, "protect": True}, {**AWS, "vpc": "vpc-0a1b2c3d"}, {**AWS, "storage": 20, "size": "c8g.large"},
    {**AWS, "storage": 20, "delete_storage": True}, BALANCER, {**BALANCER, **SITE},
    {**BALANCER, "access_logs": True, "health_status": 204}, {**BALANCER, "protect": True},
]  # fmt: skip
SCHEMAS = {type_.__name__: type_.schema for module in TYPE_MODULES for type_ in module.TYPES}


def test_no_setting_takes_away_an_input_that_aws_would_then_keep(tmp_path: Path):
    stacks = [build_stack(tmp_path, **settings) for settings in SETTINGS]
    resources = [one for stack in stacks for one in stack.registrations if one.type.startswith("aws:")]
    names = {(one.type.rpartition(":")[2], one.name) for one in resources}
    assert len(names) > 40
    for type_name, name in names:
        inputs = [one.inputs for one in resources if one.type.endswith(f":{type_name}") and one.name == name]
        for path in SCHEMAS[type_name].computed:
            assert len({has_value(path, one) for one in inputs}) == 1, f"{path} of {type_name} {name}"


def has_value(path: str, inputs: dict[str, Any]) -> bool:
    """Whether an input or a field of it has a value. In a list of objects, each object must have it."""
    name, _, rest = path.partition(".")
    value = inputs.get(name)
    if not rest or value is None:
        return value is not None
    return all(has_value(rest, one) for one in (value if isinstance(value, list) else [value]))
