"""The volume of the local target, as one story: turned on for a server with data, and kept when that is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import bridge, machine, volume_store
from tests.machine.leftovers import no_leftovers
from tests.stack import Stack, get, output

pytestmark = pytest.mark.machine

WRITE = """
set -e
install -d -o app -g app /var/lib/app/media
head -c 300000 /dev/urandom > /var/lib/app/media/picture
ln -s picture /var/lib/app/media/latest
ln /var/lib/app/media/picture /var/lib/app/media/hard
chown -R app:app /var/lib/app/media
chmod 0640 /var/lib/app/media/picture
"""
# Names, kinds, modes, owners, links and contents.
SHOW = r"""
cd {folder}
find . -printf '%P %y %m %u %n %l\n' | sort
find . -type f -exec sha256sum {{}} + | sort -k 2
"""
MOUNTED = "systemctl is-active var-lib-app.mount; systemctl is-active 'gantry-web@*'; findmnt --noheadings /var/lib/app"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[Stack]:
    """One server without a volume."""
    folder = tmp_path_factory.mktemp("volume")
    ids: set[str] = set()

    def ids_so_far() -> set[str]:
        ids.update(spec.id for id in machine.ids() if (spec := machine.find(id)) and "/volume/" in spec.owner)
        ids.update(network.id for network in bridge.networks() if "/volume/" in network.owner)
        ids.update(volume.id for volume in volume_store.all_volumes() if "/volume/" in volume.owner)
        return ids

    with no_leftovers(ids_so_far):
        settings: dict[str, object] = {"app": "examples/rocket", "healthPath": "/healthz"}
        with Stack.temporary("volume", folder, settings) as stack:
            stack.up()
            yield stack
            ids_so_far()
            stack.shell_env[volume_store.DELETE_STORAGE] = "true"


def data(stack: Stack, folder: str = "/var/lib/app") -> str:
    return stack.script(SHOW.format(folder=folder))


def test_the_data_of_a_running_server_moves_to_the_volume(stack: Stack):
    stack.script(WRITE)
    before, machine_id = data(stack), stack.outputs()["servers"][0]["instance_id"]
    stack.configure(storage=2)
    assert "the app is stopped while the data that it has is copied" in output(stack.pulumi("preview"))
    shown = output(stack.up())
    assert "sudo rm -r /var/lib/app.before-volume" in shown
    assert data(stack) == before
    assert data(stack, "/var/lib/app.before-volume") == before
    assert stack.outputs()["servers"][0]["instance_id"] == machine_id
    assert stack.script(MOUNTED).split()[:2] == ["active", "active"]
    assert get(stack.outputs()["url"]).text == "Hello World!\n"
    assert stack.steps() == {}


def test_an_app_does_not_start_while_its_data_is_not_mounted(stack: Stack):
    script = """
    web=$(systemctl list-units --plain --no-legend 'gantry-web@*' | cut -d ' ' -f 1)
    sudo gantry unmount-volume
    mv /var/lib/gantry/volume/app /var/lib/gantry/volume/elsewhere
    systemctl start "$web" 2> /dev/null || echo refused
    systemctl is-active "$web"
    ls -A /var/lib/app /var/lib/gantry/volume
    mv /var/lib/gantry/volume/elsewhere /var/lib/gantry/volume/app
    sudo gantry mount-volume /var/lib/gantry/volume --size 2 > /dev/null
    systemctl is-active var-lib-app.mount
    """
    # Nothing was written into the folder below the mount.
    shown = stack.script(script).split()
    assert shown[-6:] == ["refused", "inactive", "/var/lib/app:", "/var/lib/gantry/volume:", "elsewhere", "active"]


def test_after_a_reboot_the_data_is_mounted_before_the_app_starts(stack: Stack):
    before = data(stack)
    id = stack.outputs()["servers"][0]["instance_id"]
    machine.stop(id)
    stack.up()
    assert stack.script(MOUNTED).split()[:2] == ["active", "active"]
    assert data(stack) == before


def test_another_machine_gets_the_same_data(stack: Stack):
    before, old = data(stack), stack.outputs()["servers"][0]["instance_id"]
    urn = next(urn for urn in urns(stack) if urn.endswith("gantry/local:Machine::volume-0"))
    stack.up("--replace", urn)
    assert stack.outputs()["servers"][0]["instance_id"] != old
    assert data(stack) == before
    assert get(stack.outputs()["url"]).text == "Hello World!\n"
    assert stack.steps() == {}


def test_without_the_setting_nothing_is_changed(stack: Stack):
    before = data(stack)
    stack.configure(storage=None)
    shown = output(stack.failing_up())
    assert "and the setting storage or its target is gone" in shown
    assert "pulumi config set deleteStorage true" in shown
    assert data(stack) == before
    stack.configure(storage=1)
    assert "a volume can't be made smaller" in output(stack.pulumi("preview", check=False))
    stack.configure(storage=2)
    stack.up()
    assert data(stack) == before


def test_on_purpose_the_volume_is_deleted_and_up_says_so(stack: Stack):
    [folder] = volumes_of(stack)
    stack.configure(deleteStorage=True)
    stack.up()
    stack.configure(storage=None)
    shown = output(stack.up())
    assert "is deleted with the data of the app" in shown
    assert not folder.exists()
    assert data(stack) != ""
    assert stack.script(MOUNTED.split(";")[1]).strip() == "active"
    assert get(stack.outputs()["url"]).text == "Hello World!\n"


def volumes_of(stack: Stack) -> list[Path]:
    return [volume.data for volume in volume_store.all_volumes() if f"/{stack.name}/" in volume.owner]


def urns(stack: Stack) -> list[str]:
    shown = stack.pulumi("stack", "--show-urns").stdout
    return [line.partition("URN: ")[2].strip() for line in shown.splitlines() if "URN: " in line]
