"""A world of machines after the process that had it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.local import bridge, machine
from tests.clouds.machine_infrastructure import EDGE, FOLDER, OWNER
from tests.clouds.nftables import TABLE
from tests.clouds.simulated_stack import machines
from tests.machine.conftest import nothing_left
from tests.stack import ROOT

pytestmark = [pytest.mark.machine, pytest.mark.cloud]

# Says so when a network, a machine and a balancer are there, and then waits to be killed.
KILLED = """
import sys, time
from tests.clouds.machine_infrastructure import Machines
from tests.clouds.infrastructure import Balancer, Boot, Health, Listener, View

world = Machines("Ec2")
world.start()
world.network("vpc", "10.61.0.0/24")
world.boot(Boot(id="i-killed", hostname="web", network="vpc", address="10.61.0.5", user_data="", metadata={}))
front = Balancer(
    id="front", network="vpc", public="198.18.0.2", nodes=("10.61.0.250",), listeners=(Listener(port=80),),
    targets=(), health=Health(path="/", port=80),
)
world.show(View(balancers=(front,)))
print("there", flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_left_of_its_world_is_cleared_by_the_next():
    with nothing_left(lambda: {EDGE, TABLE, "i-killed", *networks()}):
        with subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout
            assert run.stdout.readline() == "there\n"
            os.kill(run.pid, signal.SIGKILL)
        [left] = networks()
        assert "i-killed" in machine.listed()
        assert proxies()
        with machines("aws") as world:
            assert "i-killed" not in machine.listed()
            assert networks() == proxies() == []
            world.network("vpc", "10.61.0.0/24")
            assert left not in networks()


def networks() -> list[str]:
    """Of simulated clouds; the local target's are others'."""
    return [each.id for each in bridge.listed() if each.owner == OWNER]


def proxies() -> list[str]:
    """The processes of balancers."""
    found = Path("/proc").glob("[0-9]*/cmdline")
    return [each.parent.name for each in found if f"{FOLDER}/".encode() in each.read_bytes()]
