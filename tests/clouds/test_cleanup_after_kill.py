"""The next simulated cloud removes what is left of one whose process was killed."""

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
from tests.clouds.testbed import machine_infrastructure
from tests.machine.leftovers import no_leftovers
from tests.stack import ROOT

pytestmark = [pytest.mark.machine, pytest.mark.cloud]

# Prints a line once a network, a machine and a balancer run, and then waits to be killed.
PROGRAM = """
import sys, time
from tests.clouds.infrastructure import Balancer, HealthCheck, Listener, ServerSpec, Topology
from tests.clouds.machine_infrastructure import MachineInfrastructure

infrastructure = MachineInfrastructure("Ec2")
infrastructure.start()
infrastructure.create_network("vpc", "10.61.0.0/24")
infrastructure.boot(
    ServerSpec(id="i-killed", hostname="web", network="vpc", address="10.61.0.5", user_data="", metadata={})
)
balancer = Balancer(
    id="balancer", network="vpc", public_address="198.18.0.2", node_addresses=("10.61.0.250",),
    listeners=(Listener(port=80),), targets=(), health_check=HealthCheck(path="/", port=80),
)
infrastructure.apply(Topology(balancers=(balancer,)))
print("running", flush=True)
time.sleep(600)
"""


def test_the_next_simulated_cloud_removes_what_a_killed_process_left():
    with no_leftovers(lambda: {EDGE, TABLE, "i-killed", *network_ids()}):
        with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout
            assert program.stdout.readline() == "running\n"
            os.kill(program.pid, signal.SIGKILL)
        [leftover] = network_ids()
        assert "i-killed" in machine.ids()
        assert balancer_processes()
        with machine_infrastructure("aws") as infrastructure:
            assert "i-killed" not in machine.ids()
            assert network_ids() == balancer_processes() == []
            infrastructure.create_network("vpc", "10.61.0.0/24")
            assert leftover not in network_ids()


def network_ids() -> list[str]:
    """The networks of simulated clouds, without those of local stacks."""
    return [network.id for network in bridge.networks() if network.owner == OWNER]


def balancer_processes() -> list[str]:
    command_lines = Path("/proc").glob("[0-9]*/cmdline")
    return [file.parent.name for file in command_lines if f"{FOLDER}/".encode() in file.read_bytes()]
