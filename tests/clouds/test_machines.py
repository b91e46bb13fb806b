"""A world of machines after the process that had it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.local import bridge, machine
from tests.clouds.machines import EDGE, FOLDER, OWNER
from tests.clouds.packets import TABLE
from tests.clouds.site import machines
from tests.machine.leftovers import no_leftovers
from tests.stack import ROOT

pytestmark = [pytest.mark.machine, pytest.mark.cloud]

# Says so when a network, a machine and a balancer are there, and then waits to be killed.
KILLED = """
import sys, time
from tests.clouds.machines import Machines
from tests.clouds.world import Balancer, Boot, Health, Listener, View

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
    with no_leftovers(lambda: {EDGE, TABLE, "i-killed", *networks()}):
        with subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout
            assert run.stdout.readline() == "there\n"
            os.kill(run.pid, signal.SIGKILL)
        [left] = networks()
        assert "i-killed" in machine.ids()
        assert proxies()
        with machines("aws") as world:
            assert "i-killed" not in machine.ids()
            assert networks() == proxies() == []
            world.network("vpc", "10.61.0.0/24")
            assert left not in networks()


def networks() -> list[str]:
    """Of simulated clouds; the local target's are others'."""
    return [each.id for each in bridge.networks() if each.owner == OWNER]


def proxies() -> list[str]:
    """The processes of balancers."""
    found = Path("/proc").glob("[0-9]*/cmdline")
    return [each.parent.name for each in found if f"{FOLDER}/".encode() in each.read_bytes()]
