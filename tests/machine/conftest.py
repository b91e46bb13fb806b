"""Real machines for tests, and the proof that nothing of them is left."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from components.local import bridge, host, image, launch, machine, store
from components.ssh import NO_CONNECTION
from tests.clouds.machine_infrastructure import EDGE
from tests.clouds.nftables import TABLE

_SSH = ("-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "UserKnownHostsFile=/dev/null")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, env=host.environment()).stdout


def traces() -> set[str]:
    """One line for each thing that a machine or its network makes on this computer."""
    found = {f"link {link['ifname']}" for link in json.loads(_output("ip", "-j", "link"))}
    found |= {f"named network namespace {line}" for line in _output("ip", "netns").splitlines()}
    found |= set(_rules())
    found |= {f"mount {line.split()[4]}" for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text()
            command = (process / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # A zombie has ended; it waits for the computer's init to take notice.
        if not command:
            continue
        if "/gantry" in groups or "supervise.sh" in command:
            found.add(f"process {process.name}: {command} in {groups.split(':')[-1].strip()}")
    folders = (store.STATE, Path("/run/systemd/nspawn"), Path("/sys/fs/cgroup"))
    for top in folders:
        for parent, names, files in os.walk(top):
            within = Path(parent)
            if within.name == "disk":
                names.clear()  # the thousands of files of a machine
            elif top != folders[-1] or "gantry" in within.parts:
                found |= {f"file {within / name}" for name in (*names, *(files if top != folders[-1] else ()))}
    return found


def _rules() -> Iterator[str]:
    """The lines of the firewall, each with the name of its table."""
    table = ""
    for line in _output("nft", "list", "ruleset").splitlines():
        table = line if line.startswith("table ") else table
        yield f"rule {line.strip()} in {table}"


def _of_others(mine: set[str]) -> set[str]:
    """Names in what else is going on here: a developer's own stack, say, or a simulated cloud."""
    ids = {id for id in machine.listed() if id not in mine}
    networks = {network.id for network in bridge.listed() if network.id not in mine}
    return ids | networks | {machine.veth_of(id) for id in ids} | (_simulated() - mine)


def _simulated() -> set[str]:
    """The names of a simulated cloud, where there is one."""
    return {EDGE, TABLE} if Path("/sys/class/net", EDGE).exists() else set()


@dataclass
class Local:
    """Makes networks and machines that end with the test."""

    key: Path
    name: str = field(default_factory=lambda: f"test-{secrets.token_hex(3)}")
    networks: list[str] = field(default_factory=list[str])
    machines: list[str] = field(default_factory=list[str])

    def network(self, cidr: str | None = None) -> bridge.Network:
        network = bridge.create(owner=self.name, cidr=cidr)
        self.networks.append(network.id)
        return network

    def new_id(self) -> str:
        id = f"{self.name}-{len(self.machines)}"
        self.machines.append(id)
        return id

    def machine(self, network: str, id: str | None = None, user_data: str = "") -> machine.Spec:
        text = f"{self.user_data()}{user_data}".encode()
        id = id or self.new_id()
        return machine.create(id=id, owner=self.name, network=network, hostname="web-0", user_data=text)

    def user_data(self) -> str:
        """The least that lets the test in."""
        user = {
            "name": "deploy",
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": [self.key.with_suffix(".pub").read_text().strip()],
        }
        return f"#cloud-config\nusers: {json.dumps([user])}\n"

    def ssh(self, spec: machine.Spec, command: str, *, check: bool = True) -> str:
        """What the command says, once the machine lets one in."""
        launch.wait_until(lambda: self._ssh(spec, "true").returncode == 0, f"{spec.id} to answer", 60)
        done = self._ssh(spec, command)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def reaches(self, spec: machine.Spec, command: str) -> bool:
        """Whether the command ran, whatever came of it."""
        return self._ssh(spec, command).returncode != NO_CONNECTION

    def send(self, spec: machine.Spec, data: bytes, command: str) -> str:
        """What the command says, given the data."""
        words = [*self.ssh_command(spec), command]
        done = subprocess.run(words, input=data, capture_output=True, timeout=200)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout.decode()

    def _ssh(self, spec: machine.Spec, command: str) -> subprocess.CompletedProcess[str]:
        words = [*self.ssh_command(spec), command]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)

    def ssh_command(self, spec: machine.Spec) -> list[str]:
        options = (*_SSH, "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=3", "-i", str(self.key))
        return ["ssh", *options, f"deploy@{spec.address}"]

    def destroy(self) -> None:
        for id in self.machines:
            machine.destroy(id)
        for id in self.networks:
            machine.destroy_network(id)


@contextmanager
def nothing_left(mine: Callable[[], set[str]]) -> Iterator[None]:
    """Asserts that what happens inside leaves no trace, other than what runs here besides.

    ``mine`` tells the ids of machines and networks that are the test's own.
    """
    # Others are asked for on both sides of each look: what comes meanwhile is known after it, what goes before.
    elsewhere = _of_others(mine())
    before, forwarding = traces(), _FORWARDING.read_text()
    elsewhere |= _of_others(mine())
    yield
    elsewhere |= _of_others(mine())
    after = traces()
    elsewhere |= _of_others(mine())
    changed = {line for line in after ^ before if not any(name in line for name in elsewhere)}
    # Others may have made or removed the folders that all share.
    shared = {f"file {store.MACHINES}", f"file {store.NETWORKS}", f"file {store.STATE / 'ip_forward.json'}"}
    if elsewhere:
        changed -= shared
    assert not changed, "left behind, or taken away:\n" + "\n".join(sorted(changed))
    assert elsewhere or _FORWARDING.read_text() == forwarding, "forwarding is not set as it was"


@pytest.fixture(scope="session")
def base_image() -> str:
    """The base image, built if need be; without root or the tools for it the test is skipped."""
    try:
        host.require_root_and_tools()
    except host.LocalError as error:
        pytest.skip(str(error))  # the text says what is missing
    return image.ensure()


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


@pytest.fixture
def local(base_image: str, ssh_key: Path) -> Iterator[Local]:
    """A maker of machines; after the test, everything it made is gone without a trace."""
    made = Local(key=ssh_key)
    with nothing_left(lambda: {*made.machines, *made.networks}):
        try:
            yield made
        finally:
            made.destroy()


@pytest.fixture
def assert_nothing_left(base_image: str) -> Callable[..., object]:
    """``with assert_nothing_left(lambda: ids):`` for tests that make machines in other ways."""
    return nothing_left
