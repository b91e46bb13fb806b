from __future__ import annotations

import base64
import os
import re

import yaml

from components.server.templates import FOLDER
from components.server.user_data import Identity, user_data
from tests.stack_settings import make_settings

HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.b64encode(os.urandom(290)).decode() + "\n"
USER_DATA = user_data(
    Identity(
        hostname="dev-0",
        public_key="ssh-ed25519 AAAA",
        host_private_key=HOST_KEY,
        host_public_key="ssh-ed25519 BBBB",
    )
)


def test_the_user_data_is_yaml_with_everything_that_cloud_init_needs():
    document = yaml.safe_load(USER_DATA)
    assert USER_DATA.startswith("#cloud-config\n")
    assert document["hostname"] == "dev-0"
    assert document["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA"]
    assert document["ssh_keys"] == {"ed25519_private": HOST_KEY, "ed25519_public": "ssh-ed25519 BBBB"}
    assert document["packages"] == ["python3-pip-whl"]


def test_the_user_data_writes_every_file_of_the_first_boot_unchanged():
    contents = [file["content"] for file in yaml.safe_load(USER_DATA)["write_files"]]
    folder = FOLDER / "first-boot"
    assert sorted(contents) == sorted(path.read_text() for path in folder.iterdir())


def test_the_user_data_is_small_enough_for_ec2():
    # 16 KiB: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
    assert len(USER_DATA.encode()) < 16 * 1024


def test_the_user_data_contains_nothing_of_the_app_so_that_no_release_replaces_a_server():
    for word in ("rocket", make_settings().health_path, "RELEASE"):
        assert word not in USER_DATA


def test_gunicorn_and_uv_are_pinned_with_hashes():
    for name in ("gunicorn.txt", "uv.txt"):
        text = (FOLDER / "first-boot" / name).read_text()
        assert re.match(r"^[a-z]+==[\d.]+ \\\n    --hash=sha256:", text), name
