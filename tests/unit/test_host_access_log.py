from __future__ import annotations

from pathlib import Path

from host import access_log
from host.access_log import RequestCounts


def line(ended: float, status: str, seconds: float = 0.1, address: str = "192.0.2.7") -> str:
    return f'{ended:.3f} {seconds:.3f} {address} "{status}"\n'


def test_only_requests_that_began_after_the_switch_and_reached_the_app_count(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(line(99 - access_log.USUAL_SECONDS, "500") + line(99, "200") + line(99, "500"))
    counts = RequestCounts(log, switched_at=100, start=100)
    assert (counts.before.failed, counts.before.total) == (1, 2)
    with log.open("a") as stream:
        stream.write(line(101, "500", seconds=5))  # it began before the switch
        stream.write(line(101, "500", address="127.0.0.1"))  # a health check of the release
        stream.write(line(101, "-"))  # Nginx answered itself: maintenance, or a redirect
        stream.write(line(101, "502, 200"))
        stream.write(line(101, "503"))
        stream.write(line(101, "500")[:-5])  # an incomplete line
    assert (counts.update().failed, counts.since.total) == (1, 2)
    with log.open("a") as stream:
        stream.write(line(101, "500")[-5:])
    assert (counts.update().failed, counts.since.total) == (2, 3)


def test_a_log_that_was_rotated_or_is_created_later_is_read_from_its_start(tmp_path: Path):
    log = tmp_path / "log"
    counts = RequestCounts(log, switched_at=0, start=0)
    assert counts.update().total == 0
    log.write_text(line(1, "200"))
    assert counts.update().total == 1
    log.rename(tmp_path / "log.1")
    log.write_text(line(2, "500") * 3)
    assert (counts.update().failed, counts.since.total) == (3, 4)


def test_of_a_long_log_only_the_end_is_read(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(line(98, "500") * 20_000 + line(99, "200") * 20_000)
    before = RequestCounts(log, switched_at=100, start=100).before
    assert before.failed == 0 < before.total
    assert log.stat().st_size > access_log.TAIL_BYTES


def test_failures_between_the_switch_and_a_repeated_watch_do_not_count_as_usual(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(line(99, "200") + line(101, "500") * 9)
    counts = RequestCounts(log, switched_at=100, start=110)
    assert (counts.before.failed, counts.before.total) == (0, 1)
