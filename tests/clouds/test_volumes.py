"""A stack with storage on both clouds: its life without machines, and what is refused. Commands count as done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clouds.infrastructure import RecordedInfrastructure
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_commands import simulated_commands
from tests.clouds.simulated_stack import LARGER_SIZES, new_stack, simulated_cloud
from tests.stack import Stack, output
from tools.setup.targets import words_of

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("target", ["aws", "digitalocean"])
def test_the_volume_moves_with_its_server_grows_and_is_deleted_only_on_purpose(target: str, tmp_path: Path):
    infrastructure = RecordedInfrastructure()
    with simulated_cloud(target, tmp_path, infrastructure) as cloud, simulated_commands(tmp_path) as commands:
        stack = new_stack(target, tmp_path / "stack")
        stack.up()
        [server] = infrastructure.servers
        assert not volumes_of(cloud)
        stack.configure(storage=10)
        assert "the app is stopped while the data that it has is copied" in output(stack.pulumi("preview"))
        stack.up()
        assert list(infrastructure.servers) == [server], "turning storage on replaced the server"
        [id] = infrastructure.volumes
        assert infrastructure.attachments == {id: server}
        assert stack.steps() == {}

        refuse_a_smaller_one(stack)
        stack.configure(storage=12)
        stack.up()
        assert infrastructure.volumes == {id: 12}

        # These files would be on the volume, so the server is replaced nevertheless.
        (tmp_path / "app-data").write_text('{"files": 3, "bytes": 4200, "on_volume": false}')
        stack.configure(size=LARGER_SIZES[target])
        preview = output(stack.pulumi("preview"))
        assert "the site is down for about" in preview
        assert "/var/lib/app has" not in preview
        cloud.calls.clear()
        commands.calls.clear()
        stack.up()
        [new_server] = infrastructure.servers
        assert infrastructure.attachments == {id: new_server}
        assert new_server != server
        moves = [operation for operation, name in cloud.calls if name == "sim-volume" and operation != "read"]
        assert moves == ["delete", "create"]
        assert ("create", "sim-0-volume") in commands.calls
        assert stack.steps() == {}

        refuse_deletion(stack, cloud)
        stack.configure(deleteStorage=True)
        stack.up()
        stack.configure(storage=None)
        stack.up()
        assert infrastructure.volumes == {}
        stack.configure(storage=10)
        stack.up()
        stack.destroy()
        assert cloud.leftovers() == []
        assert infrastructure.volumes == {}


def test_on_aws_the_old_server_keeps_its_volume_until_the_new_one_is_prepared(tmp_path: Path):
    infrastructure = RecordedInfrastructure()
    with simulated_cloud("aws", tmp_path, infrastructure), simulated_commands(tmp_path):
        stack = new_stack("aws", tmp_path / "stack")
        stack.configure(storage=10)
        stack.up()
        [server], [id] = infrastructure.servers, infrastructure.volumes
        stack.configure(size=LARGER_SIZES["aws"])
        (tmp_path / "unprepared").write_text("no package registry answers")
        # The second `up` finds the new server, which the first one has created.
        for _ in range(2):
            assert "no package registry answers" in output(stack.failing_up())
            assert infrastructure.attachments == {id: server}
            assert server in infrastructure.servers
        assert "the site is down for about" in output(stack.pulumi("preview"))
        (tmp_path / "unprepared").unlink()
        stack.up()
        [new_server] = infrastructure.servers
        assert infrastructure.attachments == {id: new_server}
        assert stack.steps() == {}
        stack.configure(deleteStorage=True)
        stack.up()
        stack.destroy()


def refuse_a_smaller_one(stack: Stack) -> None:
    stack.configure(storage=5)
    result = stack.pulumi("preview", check=False)
    assert result.returncode != 0
    assert "a volume can't be made smaller" in output(result) or "can only be expanded" in output(result)
    stack.configure(storage=10)


def refuse_deletion(stack: Stack, cloud: SimulatedCloud) -> None:
    """Neither destroy nor a missing setting deletes the volume."""
    result = stack.pulumi(*words_of("destroy", stack.name, cloud.package)[:-2], check=False)
    assert result.returncode != 0
    assert "protected" in output(result)
    stack.configure(storage=None)
    result = stack.pulumi("preview", check=False)
    assert result.returncode != 0
    assert "protected" in output(result)
    # The state still protects the volume, so it comes too late now.
    stack.configure(deleteStorage=True)
    assert "protected" in output(stack.pulumi("preview", check=False))
    assert volumes_of(cloud)
    stack.configure(storage=12, deleteStorage=None)


def volumes_of(cloud: SimulatedCloud) -> list[str]:
    return [line for line in cloud.leftovers() if line.lower().startswith("volume ")]
