from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tools.setup import programs
from tools.setup.files import atomic_folder, digest, exclusive, read_record, write_record
from tools.setup.report import SetupError


def test_a_new_folder_replaces_the_old_one_when_it_is_complete(tmp_path: Path):
    final = tmp_path / "venv"
    for content in ("one", "two"):
        with atomic_folder(final) as folder:
            (folder / "file").write_text(content)
        assert (final / "file").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["venv"]


def test_after_a_failure_the_old_folder_stays_and_the_next_try_starts_with_an_empty_one(tmp_path: Path):
    final = tmp_path / "venv"
    with atomic_folder(final) as folder:
        (folder / "file").write_text("whole")

    def fail() -> None:
        with atomic_folder(final) as folder:
            (folder / "half").write_text("")
            raise SetupError("interrupted")

    with pytest.raises(SetupError):
        fail()
    assert (final / "file").read_text() == "whole"
    leftover = final.with_name(".venv.new")
    assert not leftover.exists()
    (leftover / "half").mkdir(parents=True)
    with atomic_folder(final) as folder:
        assert list(folder.iterdir()) == []


def test_an_incomplete_record_counts_as_none(tmp_path: Path):
    record = tmp_path / "record.json"
    write_record(record, {"key": "value"})
    assert read_record(record) == {"key": "value"}
    record.write_text('{"key": "va')
    assert read_record(record) == {}


def test_a_digest_depends_on_where_its_parts_end(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("b")
    assert digest(["a", file]) == digest(["a", "b"])
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_a_second_set_up_waits_for_the_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    order: list[str] = []

    def second() -> None:
        with exclusive(tmp_path / "lock"):
            order.append("second")

    with exclusive(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "another set-up is running" in capfd.readouterr().err


def test_a_long_program_reports_its_progress(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    monkeypatch.setattr(programs, "PROGRESS_SECONDS", 0.1)
    programs.run_logged("sleeping", ["sleep", "0.3"])
    assert "gantry: sleeping: 0:00" in capfd.readouterr().err


def test_a_failed_program_shows_the_end_of_its_output_and_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    with pytest.raises(SetupError) as error:
        programs.run_logged("making it", ["sh", "-c", "seq 100; exit 3"], remedy="Mend it.")
    assert "  86\n" in str(error.value)
    assert "  85\n" not in str(error.value)
    assert str(error.value).endswith("  100\nMend it.")


def test_a_program_over_its_time_limit_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(programs, "LOGS", tmp_path)
    with pytest.raises(SetupError, match=r"took longer than 0 s|took longer"):
        programs.run_logged("hanging", ["sleep", "60"], time_limit=0.2)
