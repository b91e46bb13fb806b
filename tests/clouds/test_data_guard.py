"""Each way in which a server is deleted, on both clouds: `up` stops before it touches a server whose app has files.

No machine boots. A program in place of ssh says which files a server has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clouds.infrastructure import RecordedInfrastructure
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_commands import SimulatedCommandPlugin, simulated_commands
from tests.clouds.simulated_stack import LARGER_SIZES, new_stack, simulated_cloud
from tests.clouds.test_shapes import changing_calls
from tests.stack import Stack, output
from tools.setup import lost_data

pytestmark = pytest.mark.engine

LOSS = "its /var/lib/app has 3 files (4.2 kB), deleted with the server"


@dataclass
class Guarded:
    """A stack and its cloud. ``folder`` has the files that speak for the servers."""

    stack: Stack
    cloud: SimulatedCloud
    plugin: SimulatedCommandPlugin
    infrastructure: RecordedInfrastructure
    folder: Path

    @property
    def target(self) -> str:
        return self.cloud.package

    def ids(self) -> list[str]:
        return [server["instance_id"] for server in self.stack.outputs()["servers"]]

    def add_files(self) -> None:
        """From now on each server has the files of ``LOSS``."""
        document = {"files": 3, "bytes": 4200, "on_volume": False}
        (self.folder / "app-data").write_text(json.dumps(document))

    def stops(self, text: str = LOSS) -> str:
        """Fail unless `up` stops before it touches a server or deletes anything. Returns all that it printed."""
        servers = dict(self.infrastructure.servers)
        self.cloud.calls.clear()
        self.plugin.calls.clear()
        shown = output(self.stack.failing_up())
        assert text in shown, shown
        assert "Traceback" not in shown
        assert self.plugin.calls == []
        assert [name for operation, name in changing_calls(self.cloud) if operation == "delete"] == []
        assert self.infrastructure.servers == servers
        return shown


@contextmanager
def guarded_stack(target: str, folder: Path, **settings: object) -> Iterator[Guarded]:
    """A stack that is up, and whose servers have files. It is destroyed after the block."""
    infrastructure = RecordedInfrastructure()
    with simulated_cloud(target, folder, infrastructure) as cloud, simulated_commands(folder) as plugin:
        stack = new_stack(target, folder / "stack", **settings)
        stack.up()
        guarded = Guarded(stack, cloud, plugin, infrastructure, folder)
        guarded.add_files()
        yield guarded
        [id, *_] = guarded.ids()
        destroyed = output(stack.pulumi("destroy", "--yes", "--skip-preview"))
        assert f"destroy deletes sim-0 ({id}): {LOSS}" in destroyed
        assert cloud.leftovers() == []


def test_a_single_server_with_files_is_replaced_only_on_purpose(tmp_path: Path):
    with guarded_stack("aws", tmp_path) as guarded:
        stack, [id] = guarded.stack, guarded.ids()
        stack.configure(size=LARGER_SIZES["aws"])
        preview = output(stack.pulumi("preview"))
        assert "`up` will stop" in preview and f"sim-0 is replaced: {LOSS}" in preview
        shown = guarded.stops()
        assert changing_calls(guarded.cloud) == []
        commands = [
            "config set --stack sim storage 20",
            "bin/data --stack sim pull sim-0",
            f"--stack sim loseData {id}",
        ]
        positions = [shown.rindex(command) for command in commands]
        assert positions == sorted(positions), "the first way is a volume"
        stack.shell_env = lost_data.VARIABLES
        assert stack.pulumi("preview", check=False).returncode != 0, "the preview of `make up` changes nothing"
        stack.shell_env = {}
        # Another network, and a balancer in place of the address, replace the server, too.
        stack.configure(size="t3.small", network="10.62.0.0/16")
        guarded.stops()
        stack.configure(network="10.61.0.0/16", balancer=True)
        guarded.stops()
        stack.configure(size=LARGER_SIZES["aws"], balancer=None, loseData=id)
        assert f"sim-0 is replaced: {LOSS}, as loseData allows" in output(stack.up())
        assert guarded.ids() != [id]
        # The setting is still there, but the new server has another id.
        stack.configure(size="t3.small")
        assert f"loseData has '{id}', which isn't the id of a server any more" in guarded.stops()


def test_servers_with_files_are_removed_and_replaced_only_on_purpose(tmp_path: Path):
    with guarded_stack("digitalocean", tmp_path, servers=2, balancer=True) as guarded:
        stack, ids = guarded.stack, guarded.ids()
        stack.configure(servers=1)
        assert f"sim-1 is removed: {LOSS}" in guarded.stops()
        stack.configure(servers=2, size=LARGER_SIZES["digitalocean"])
        guarded.stops()
        (tmp_path / "silent").touch()
        stack.configure(size="s-1vcpu-1gb", region="ams3")
        guarded.stops("doesn't answer over SSH (Connection timed out), so its /var/lib/app counts as one with files")
        (tmp_path / "silent").unlink()
        stack.configure(servers=1, region="fra1", loseData=ids[1])
        assert f"sim-1 is removed: {LOSS}, as loseData allows" in output(stack.up())
        assert guarded.ids() == ids[:1]
