"""All targets have the same shape, and only the chosen one's SDK is loaded."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.targets import TARGETS
from tests.mocks import AWS, DIGITALOCEAN, SITE, build_stack, stdout_of

ROOT = Path(__file__).resolve().parents[2]
LIST_LOADED_SDKS = """
import sys
from components import fleet, target_loader
from components.settings import reader
reader.all_declarations()
target_loader.load("TARGET").Network
print(*sorted(name for name in ("pulumi_aws", "pulumi_digitalocean") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("target", "sdk"), [("local", ""), ("aws", "pulumi_aws"), ("digitalocean", "pulumi_digitalocean")]
)
def test_the_sdk_of_an_unused_cloud_is_never_loaded(target: str, sdk: str):
    program = LIST_LOADED_SDKS.replace("TARGET", target)
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == sdk


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_the_same_classes_with_the_same_arguments(target: str):
    module = importlib.import_module(f"components.{target}.target")
    for name in ("Network", "Server", "Balancer", "Address"):
        args = list(inspect.signature(getattr(module, name)).parameters.values())[1]
        assert args.annotation.partition("[")[0] == f"{name}Args"
    for entrypoint in (module.Balancer, module.Address):
        assert callable(entrypoint.connection_to) and callable(entrypoint.attach)


@pytest.mark.parametrize("cloud", [AWS, DIGITALOCEAN], ids=["aws", "digitalocean"])
def test_a_server_is_closed_to_others_after_dns_points_to_the_balancer(tmp_path: Path, cloud: dict[str, Any]):
    fleet = build_stack(tmp_path, **cloud, **SITE, servers=2, balancer=True)
    for number in (0, 1):
        close = fleet.one(":Command", f"prod-{number}-closed")
        assert close.inputs["create"] == ("sudo gantry close --patience 60" if number == 0 else "sudo gantry close")
        assert close.inputs["stdin"] == stdout_of(f"prod-{number}-configure"), "runs again after each configuration"
        assert {"prod-0-joined", "prod-1-joined", SITE["domain"], f"www.{SITE['domain']}"} <= close.dependency_names
