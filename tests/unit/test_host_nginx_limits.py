"""Nginx's limits that depend on the server's memory, processors and disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components.server.configuration import configuration
from host import nginx_limits
from host.configure import Configuration, configure
from host.errors import ReleaseError
from host.nginx_limits import connections_per_worker, uploads, uploads_per_address
from host.paths import Paths
from tests.stack_settings import balancer_files, make_settings

GB = 1024**3
MAIN = "user www-data;\nevents {\n\tworker_connections 768;\n\t# multi_accept on;\n}\nhttp { }\n"


@pytest.mark.parametrize(
    ("memory", "workers", "open_files", "connections"),
    [
        (0.5 * GB, 1, 1_000_000, 8192),
        (1 * GB, 1, 1_000_000, 16384),
        (2 * GB, 2, 1_000_000, 16384),
        (1 * GB, 8, 1_000_000, nginx_limits.FEWEST_CONNECTIONS),
        (64 * GB, 4, 1_000_000, nginx_limits.MOST_CONNECTIONS),
        (64 * GB, 4, 20_000, 15_000),
    ],
)
def test_the_number_of_connections_follows_from_memory_and_processors(
    memory: float, workers: int, open_files: int, connections: int
):
    assert connections_per_worker(int(memory), workers, open_files) == connections


def test_all_uploads_together_fill_a_tenth_of_the_disk():
    assert [uploads(gigabytes * GB) for gigabytes in (1, 8, 100, 10_000)] == [16, 25, 320, 512]


@pytest.mark.parametrize(
    ("disk_gigabytes", "megabytes", "total", "of_one_address"),
    [(8, 32, 25, 6), (8, 1, 512, 16), (8, 200, 16, 4), (8, 1024, 4, 1), (100, 200, 51, 12), (10_000, 10_000, 102, 16)],
)
def test_fewer_large_uploads_are_taken_at_a_time_and_they_never_fill_more_than_half_of_the_disk(
    disk_gigabytes: int, megabytes: int, total: int, of_one_address: int
):
    disk = disk_gigabytes * GB
    assert (uploads(disk, megabytes), uploads_per_address(total)) == (total, of_one_address)
    assert total * megabytes * 1024**2 <= disk / 2


def test_an_upload_that_the_disk_has_no_room_for_is_refused_with_the_largest_that_fits():
    with pytest.raises(ReleaseError) as error:
        uploads(8 * GB, 2000)
    text = str(error.value)
    assert text.startswith("maxUpload is 2000 MB, but must be at most 1024 MB on this server: ")
    assert "the disk of 8192 MB" in text
    assert "Nothing was changed." in text
    assert "pulumi config set maxUpload 1024;" in text
    assert uploads(8 * GB, 1024) == nginx_limits.LEAST_UPLOADS


@pytest.mark.parametrize(
    "files", [lambda **changes: configuration(make_settings(**changes), "/h").files, balancer_files]
)
def test_the_server_computes_its_uploads_from_the_site_that_it_gets(tmp_path: Path, files: Any):
    assert nginx_limits.max_upload(files()) == nginx_limits.UPLOAD_MB
    assert nginx_limits.max_upload(files(max_upload=500)) == 500
    paths = Paths(tmp_path)
    paths.nginx_main.parent.mkdir(parents=True)
    paths.nginx_main.write_text(MAIN)
    with pytest.raises(ReleaseError, match="maxUpload is 999999999 MB"):
        nginx_limits.computed_files(paths, files(max_upload=999_999_999))


def test_a_disk_without_room_for_the_largest_upload_is_said(tmp_path: Path):
    site = str(Paths().site)
    assert nginx_limits.lack_of_space(Paths(tmp_path), {site: "client_max_body_size 1m;"}) is None
    text = nginx_limits.lack_of_space(Paths(tmp_path), {site: "client_max_body_size 999999999m;"})
    assert text and text.endswith("so visitors can't upload 999999999 MB, as maxUpload allows")


def test_one_address_never_takes_the_uploads_of_all():
    assert [uploads_per_address(uploads(gigabytes * GB)) for gigabytes in (1, 16, 100, 10_000)] == [4, 12, 16, 16]


def test_a_configuration_changes_only_the_number_in_debians_file_and_does_so_again_after_an_upgrade(tmp_path: Path):
    paths, commands = Paths(tmp_path), list[str]()
    paths.nginx_main.parent.mkdir(parents=True)
    for _ in range(2):
        commands.clear()
        paths.nginx_main.write_text(MAIN)
        configure(paths, Configuration({}, {}), lambda command: commands.append(" ".join(command)))
        before, after = MAIN.splitlines(), paths.nginx_main.read_text().splitlines()
        assert [line for line in after if line not in before] == [f"\tworker_connections {_number(after[2])};"]
        assert len(after) == len(before)
        assert commands == ["nginx -t -q", "systemctl reload-or-restart nginx"]
    assert paths.nginx_open_files.read_text().startswith("worker_rlimit_nofile ")
    one, together = map(int, re.findall(r"^limit_conn \S+ (\d+);$", paths.nginx_limits.read_text(), re.MULTILINE))
    assert one == uploads_per_address(together) < together


def _number(line: str) -> int:
    number = int(line.split()[1].rstrip(";"))
    assert number > 768
    return number
