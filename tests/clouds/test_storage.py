"""A server with a volume, on a cloud with machines and block devices. The tests are one story, in this order."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.unmounting import DEAD_SERVER
from tests.clouds.outages import outage_of
from tests.clouds.simulated_stack import LARGER_SIZES, SETTINGS_OF_CLOUDS
from tests.clouds.test_single_server import request_repeatedly
from tests.clouds.testbed import CloudTestbed, clouds_under_test, new_testbed
from tests.kills import kill_machine
from tests.machine.test_volume import SHOW, WRITE
from tests.stack import get, output
from tools.setup.targets import words_of

pytestmark = [pytest.mark.machine, pytest.mark.cloud]

# A server is replaced within this time. The figures of docs/data.md are from runs of this test.
OUTAGE_SECONDS = 60


@pytest.fixture(scope="module", params=clouds_under_test("aws"))
def testbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudTestbed]:
    with new_testbed(request.param, tmp_path_factory.mktemp("cloud"), storage=1) as testbed:
        yield testbed


def may_resize_mounted_file_systems() -> bool:
    """Whether this computer's root has CAP_SYS_RESOURCE, which root of a container may lack."""
    [capabilities] = re.findall(r"CapEff:\s+(\w+)", Path("/proc/self/status").read_text())
    return bool(int(capabilities, 16) >> 24 & 1)


def data(testbed: CloudTestbed) -> str:
    return testbed.stack.script(SHOW.format(folder="/var/lib/app"))


def test_a_volume_that_does_not_become_a_device_fails_up_and_the_next_up_goes_on(testbed: CloudTestbed):
    testbed.cloud.faults.volumes_do_not_appear = True
    shown = output(testbed.stack.failing_up())
    assert "the volume isn't attached to this server: /dev/disk/by-id/" in shown
    assert "The app doesn't run without its data" in shown
    testbed.cloud.faults.volumes_do_not_appear = False
    testbed.infrastructure.show_volumes()
    testbed.stack.up()
    assert get(testbed.stack.outputs()["url"]).text == "Hello World!\n"
    assert testbed.stack.steps() == {}


def test_the_app_writes_to_a_file_system_on_the_volume_and_nothing_is_made_twice(testbed: CloudTestbed):
    uuid = testbed.stack.script("findmnt --noheadings --output UUID /var/lib/app")
    testbed.stack.script(WRITE)
    before = data(testbed)
    testbed.stack.edit("Hello World!", "Hello Mars!")
    testbed.stack.up()
    assert testbed.stack.script("findmnt --noheadings --output UUID /var/lib/app") == uuid
    assert data(testbed) == before


def test_the_file_system_grows_while_the_app_serves(testbed: CloudTestbed):
    url, before = testbed.stack.outputs()["url"], data(testbed)
    testbed.stack.configure(storage=2)
    with request_repeatedly(url) as results:
        testbed.stack.up()
    if may_resize_mounted_file_systems():
        assert set(results) == {"Hello Mars!\n"}
    size = int(testbed.stack.script("findmnt --noheadings --bytes --output SIZE /var/lib/app"))
    assert size > 1.8 * 1024**3
    assert data(testbed) == before


def test_the_volume_moves_to_a_new_server_with_all_data(testbed: CloudTestbed):
    url, [old], before = testbed.stack.outputs()["url"], testbed.servers(), data(testbed)
    testbed.stack.configure(size=LARGER_SIZES[testbed.cloud.package])
    assert "the site is down for about" in output(testbed.stack.pulumi("preview"))
    with outage_of(url) as outage:
        testbed.stack.up()
    assert testbed.servers()[0]["instance_id"] != old["instance_id"]
    assert data(testbed) == before
    assert testbed.infrastructure.volumes.detached_while_mounted == []
    assert outage.seconds < OUTAGE_SECONDS
    print(f"{testbed.cloud.package}: the site was down for {outage.seconds:.1f} s")
    assert testbed.stack.steps() == {}


def test_the_volume_of_a_dead_server_moves_when_the_user_says_that_it_is_dead(testbed: CloudTestbed):
    before, [old] = data(testbed), testbed.servers()
    kill_machine(old["instance_id"])
    testbed.stack.configure(size=SETTINGS_OF_CLOUDS[testbed.cloud.package]["size"])
    words = f"{DEAD_SERVER}={old['address']}"
    assert words in output(testbed.stack.failing_up())
    testbed.stack.shell_env[DEAD_SERVER] = old["address"]
    started = time.monotonic()
    testbed.stack.up()
    del testbed.stack.shell_env[DEAD_SERVER]
    assert time.monotonic() - started < 240
    assert testbed.servers()[0]["instance_id"] != old["instance_id"]
    assert data(testbed) == before


def test_the_volume_is_deleted_only_on_purpose(testbed: CloudTestbed):
    words = words_of("destroy", testbed.stack.name, testbed.cloud.package)[:-2]
    assert testbed.stack.pulumi(*words, check=False).returncode != 0
    assert get(testbed.stack.outputs()["url"]).status == 200
    testbed.stack.configure(deleteStorage=True)
    testbed.stack.up()
    testbed.stack.destroy()
    assert testbed.cloud.leftovers() == []
