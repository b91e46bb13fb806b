"""The targets are of one shape, and only the chosen one is loaded."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.targets import TARGETS
from tests.mocks import AWS, DIGITALOCEAN, SITE, built

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import sys
from components import fleet, target_loader
from components.settings import reader
reader.all_declarations()
target_loader.load("TARGET").Network
print(*sorted(name for name in ("pulumi_aws", "pulumi_digitalocean") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("target", "loaded"), [("local", ""), ("aws", "pulumi_aws"), ("digitalocean", "pulumi_digitalocean")]
)
def test_the_sdk_of_an_unused_cloud_is_never_loaded(target: str, loaded: str):
    done = subprocess.run(
        [sys.executable, "-c", LOADED.replace("TARGET", target)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == loaded


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_the_same_nouns_with_the_same_arguments(target: str):
    module = importlib.import_module(f"components.{target}.target")
    for noun in ("Network", "Server", "Balancer", "Address"):
        made = getattr(module, noun)
        args = list(inspect.signature(made).parameters.values())[1]
        assert args.annotation.partition("[")[0] == f"{noun}Args"
    for entrypoint in (module.Balancer, module.Address):
        assert callable(entrypoint.connection_to) and callable(entrypoint.attach)


@pytest.mark.parametrize("cloud", [AWS, DIGITALOCEAN], ids=["aws", "digitalocean"])
def test_a_server_is_closed_to_others_once_visitors_are_led_to_the_balancer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: dict[str, Any]
):
    fleet = built(tmp_path, monkeypatch, **cloud, **SITE, servers=2, balancer=True)
    for number in (0, 1):
        closed = fleet.one(":Command", f"prod-{number}-closed")
        assert closed.inputs["create"] == ("sudo gantry close --patience 60" if number == 0 else "sudo gantry close")
        assert closed.inputs["stdin"] == f"ssh-ed25519 OWN-prod-{number}-configure\n", "due after each configuration"
        waits = {each.rpartition("::")[2] for each in closed.waits_for}
        assert {"prod-0-joined", "prod-1-joined", SITE["domain"], f"www.{SITE['domain']}"} <= waits
