"""Nginx's limits that depend on the server's memory, processors and disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from host import nginx_limits
from host.configure import Configuration, configure
from host.nginx_limits import connections_per_worker, uploads, uploads_per_address
from host.paths import Paths

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
