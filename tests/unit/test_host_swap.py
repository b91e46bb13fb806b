"""The swap file of a server."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import swap
from host.errors import ReleaseError
from host.paths import Paths

MIB, GIB = 1024**2, 1024**3
HEADER = "Filename Type Size Used Priority\n"


class SwapServer:
    """A server with some free disk space; it records the commands and keeps the file small."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.free = 40 * GIB
        self.commands: list[str] = []
        self.paths.swap.parent.mkdir(parents=True)
        self.swaps = root / "proc/swaps"
        self.swaps.parent.mkdir()
        self.swaps.write_text(HEADER)
        monkeypatch.setattr(os, "posix_fallocate", lambda descriptor, _, size: os.ftruncate(descriptor, size))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=self.free))

    def provide(self, setting: str, memory: int = GIB) -> str:
        self.commands.clear()
        return swap.provide(self.paths, setting, memory=memory, run=self.run)

    def run(self, command: list[str]) -> None:
        self.commands.append(command[0])
        if command[0] == "swapon":
            self.swaps.write_text(f"{HEADER}{command[1]} file 1 0 -2\n")
        if command[0] == "swapoff":
            self.swaps.write_text(HEADER)

    def size(self) -> int:
        return self.paths.swap.stat().st_size // MIB


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SwapServer:
    return SwapServer(tmp_path, monkeypatch)


@pytest.mark.parametrize(("memory_mib", "size_mib"), [(480, 480), (990, 990), (1980, 1980), (2400, 2048)])
def test_a_small_server_gets_as_much_swap_as_it_has_memory_up_to_two_gigabytes(
    server: SwapServer, memory_mib: int, size_mib: int
):
    assert server.provide("auto", memory_mib * MIB) == f"{size_mib} MB of swap"
    assert (server.size(), server.commands) == (size_mib, ["mkswap", "swapon"])
    assert server.paths.swap.stat().st_mode & 0o777 == 0o600


def test_a_server_with_more_memory_gets_none(server: SwapServer):
    assert server.provide("auto", 4 * GIB) == "no swap"
    assert (server.commands, server.paths.swap.exists()) == ([], False)


def test_the_file_stays_and_is_used_again_after_a_boot(server: SwapServer):
    server.provide("auto")
    inode = server.paths.swap.stat().st_ino
    assert (server.provide("auto"), server.commands) == ("1024 MB of swap", [])
    server.swaps.write_text(HEADER)
    server.provide("auto")
    assert (server.commands, server.paths.swap.stat().st_ino) == (["swapon"], inode)


def test_another_setting_replaces_the_file_and_zero_removes_it(server: SwapServer):
    server.provide("auto")
    server.provide("3")
    assert (server.size(), server.commands) == (3072, ["swapoff", "mkswap", "swapon"])
    assert (server.provide("0"), server.commands, server.paths.swap.exists()) == ("no swap", ["swapoff"], False)


def test_a_server_whose_image_brings_swap_keeps_it(server: SwapServer):
    server.swaps.write_text(f"{HEADER}/dev/vda2 partition 1 0 -2\n")
    assert server.provide("auto") == "the server has other swap: /dev/vda2"
    assert server.commands == []


def test_the_file_takes_at_most_a_quarter_of_the_free_disk_space(server: SwapServer):
    server.free = 2 * GIB
    assert server.provide("auto", 2 * GIB) == "512 MB of swap"
    assert (server.provide("auto", 2 * GIB), server.commands) == ("512 MB of swap", []), "it is made anew each time"


def test_on_a_full_disk_there_is_none_and_a_size_that_was_asked_for_is_an_error(server: SwapServer):
    server.free = 600 * MIB
    assert "a quarter of the free disk space, which is 150 MB" in server.provide("auto")
    with pytest.raises(ReleaseError, match=r"150 MB") as error:
        server.provide("2")
    assert "pulumi config set swap <GB>" in error.value.advice
    assert (server.commands, server.paths.swap.exists()) == ([], False)


def test_a_file_that_could_not_be_written_leaves_nothing(server: SwapServer, monkeypatch: pytest.MonkeyPatch):
    def full(*_: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="no space"):
        server.provide("auto")
    assert not server.paths.swap.exists()
