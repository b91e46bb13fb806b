"""Reading a log while it is rotated: each line once, in order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from host import log_lines
from host.log_lines import LogLines


class RotatedLog:
    """Writes numbered lines as Nginx does: to the file that it has open, also after a rotation."""

    def __init__(self, folder: Path) -> None:
        self.path, self.written, self.rotations = folder / "log", 0, 0
        self.reopen()

    def reopen(self) -> None:
        self.stream = self.path.open("a")

    def write(self, count: int) -> None:
        for _ in range(count):
            self.stream.write(f"line {self.written}\n")
            self.written += 1
        self.stream.flush()

    def rename(self) -> None:
        self.rotations += 1
        self.path.rename(self.path.with_name(f"log-{self.rotations:015}"))
        self.path.touch()

    def close(self) -> None:
        self.stream.close()


@pytest.mark.parametrize("seed", range(20))
def test_random_rotations_lose_and_double_no_line(tmp_path: Path, seed: int):
    rng, log = random.Random(seed), RotatedLog(tmp_path)
    lines = LogLines(log.path)
    read: list[str] = []
    for _ in range(200):
        step = rng.choice(["write", "write", "rotate", "read"])
        if step == "write":
            log.write(rng.randrange(5))
        elif step == "read":
            read += lines.read()
        else:
            log.rename()
            log.write(rng.randrange(3))
            log.close()
            log.reopen()
    log.close()
    read += lines.read()
    assert read == [f"line {number}" for number in range(log.written)]


def test_lines_that_arrive_in_the_old_file_after_the_rotation_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = RotatedLog(tmp_path)
    lines = LogLines(log.path)
    log.rename()
    assert lines.read() == []
    log.write(2)
    assert lines.read() == ["line 0", "line 1"]
    monkeypatch.setattr(log_lines, "WRITTEN_SECONDS", 0)
    lines.read()
    log.close()
    log.reopen()
    log.write(1)
    log.close()
    assert lines.read() == ["line 2"]


def test_the_tail_begins_in_a_copy_if_the_log_is_short(tmp_path: Path):
    log = RotatedLog(tmp_path)
    log.write(100)
    log.close()
    log.rename()
    log.reopen()
    log.write(5)
    log.close()
    assert LogLines(log.path, tail=70).read()[1:] == [f"line {number}" for number in range(97, 105)]
    assert LogLines(log.path).read() == []


def test_a_truncated_log_is_read_from_its_start(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("a\nb\n")
    lines = LogLines(log)
    log.write_text("c\n")
    assert lines.read() == ["c"]
