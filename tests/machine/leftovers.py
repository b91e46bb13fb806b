"""Checks that machines and networks leave nothing behind on this computer."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from components.local import bridge, computer, machine, store, volume_store
from tests.clouds.machine_infrastructure import EDGE
from tests.clouds.nftables import TABLE

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
CGROUPS = Path("/sys/fs/cgroup")
# Other users of the local target may have created or removed them meanwhile.
SHARED_FILES = {f"file {store.STATE / name}" for name in ("machines", "networks", "volumes", "ip_forward.json")}


@contextmanager
def no_leftovers(test_ids: Callable[[], set[str]]) -> Iterator[None]:
    """Assert that the block leaves no trace on this computer. Traces of other stacks that run meanwhile don't count.

    ``test_ids`` returns the ids of the test's own machines, networks and volumes.
    """
    # Other stacks are listed before and after each look at the traces: one may come or go between the two.
    others = _names_of_others(test_ids())
    before, forwarding = traces(), FORWARDING.read_text()
    others |= _names_of_others(test_ids())
    yield
    others |= _names_of_others(test_ids())
    after = traces()
    others |= _names_of_others(test_ids())
    changes = {line for line in after ^ before if not any(name in line for name in others)}
    if others:
        changes -= SHARED_FILES
    assert not changes, "left behind or missing:\n" + "\n".join(sorted(changes))
    assert others or FORWARDING.read_text() == forwarding, "IP forwarding isn't set as it was"


def traces() -> set[str]:
    """One line for each thing that a machine or its network creates on this computer."""
    return {*_links_and_namespaces(), *_firewall_rules(), *_mounts(), *_processes(), *_files()}


def _links_and_namespaces() -> Iterator[str]:
    for link in json.loads(_output("ip", "-j", "link")):
        yield f"link {link['ifname']}"
    for line in _output("ip", "netns").splitlines():
        yield f"named network namespace {line}"


def _firewall_rules() -> Iterator[str]:
    """The lines of the firewall, each with the name of its table."""
    table = ""
    for line in _output("nft", "list", "ruleset").splitlines():
        table = line if line.startswith("table ") else table
        yield f"rule {line.strip()} in {table}"


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield f"mount {line.split()[4]}"


def _processes() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text()
            command = (process / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # A zombie has no command line. It has ended and waits for this computer's init to reap it.
        if command and ("/gantry" in groups or "supervise.sh" in command):
            yield f"process {process.name}: {command} in {groups.split(':')[-1].strip()}"


def _files() -> Iterator[str]:
    for top in (store.STATE, Path("/run/systemd/nspawn")):
        for parent, folders, files in os.walk(top):
            if Path(parent).name == "disk":
                folders.clear()  # a machine has thousands of files
            else:
                yield from (f"file {Path(parent, name)}" for name in (*folders, *files))
    for parent, folders, _ in os.walk(CGROUPS):
        if "gantry" in Path(parent).parts:
            yield from (f"file {Path(parent, name)}" for name in folders)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, env=computer.command_env()).stdout


def _names_of_others(test_ids: set[str]) -> set[str]:
    """Names of all else that runs on this computer, such as a developer's own stack or a simulated cloud."""
    # A machine that is being removed has another folder, and isn't listed any more.
    ids = {*machine.ids(), *store.names_being_removed(store.MACHINES)} - test_ids
    networks = {network.id for network in bridge.networks() if network.id not in test_ids}
    volumes = {volume.id for volume in volume_store.all_volumes() if volume.id not in test_ids}
    return ids | networks | volumes | {machine.veth_of(id) for id in ids} | (_simulated_cloud() - test_ids)


def _simulated_cloud() -> set[str]:
    """The names of a simulated cloud, if one is running."""
    return {EDGE, TABLE} if Path("/sys/class/net", EDGE).exists() else set()
