"""What reads lines of logs and of the journal: visitors and apps may write anything there."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from host import candidate, explain, history, reason
from host.errors import ReleaseError
from host.paths import Paths

# Pieces of the lines that are looked for.
PIECES = st.sampled_from(
    [
        "ModuleNotFoundError: No module named '",
        "Error: ",
        "KeyError: '",
        "/bin/bash: line 1: ",
        ": not found",
        "Worker (pid:7) was sent SIGKILL!",
        "\n",
        "'",
        '"',
        " ",
        "  File ",
        "python3: No module named ",
        "../../etc/passwd",
        "Traceback (most recent call last):\n",
    ]
)
LINES = st.lists(PIECES | st.text(max_size=20)).map("".join)


@given(LINES)
def test_any_lines_of_an_app_have_an_explanation_or_none(text: str):
    assert isinstance(explain.explain(text), str)


def test_an_explanation_of_long_lines_takes_bounded_time():
    began = time.monotonic()
    for piece in ("a", " ", ": ", "/", "'", "\n", 'File "<frozen ', "Error: ", "No module named "):
        explain.explain(piece * (25_000 // len(piece)))
    assert time.monotonic() - began < 10


@given(LINES, LINES)
def test_the_reason_in_the_history_is_one_short_line(message: str, advice: str):
    text = reason.reason_of(ReleaseError(message, advice), {"TOKEN": "hunter22"})
    assert 0 < len(text) <= reason.MOST_CHARACTERS
    assert "hunter22" not in text


@given(st.binary() | LINES.map(str.encode), st.binary())
def test_any_errors_of_nginx_are_read_from_where_a_check_began(tmp_path: Path, before: bytes, since: bytes):
    paths = Paths(tmp_path)
    paths.candidate_errors.parent.mkdir(parents=True, exist_ok=True)
    paths.candidate_errors.write_bytes(before)
    with candidate.served(paths, "a-1") as errors:
        assert errors() == []
        with paths.candidate_errors.open("ab") as log:
            log.write(since + b"\n2025/01/01 00:00:00 [error] 7#7: *2 upstream is late, client: 192.0.2.7\n")
        assert errors()[-1] == "upstream is late"


@given(st.lists(st.binary(max_size=40) | st.just(b'{"release": "a"}') | st.sampled_from([b"5", b"[]", b"null"])))
def test_any_lines_of_the_history_are_entries_or_are_skipped(tmp_path: Path, lines: list[bytes]):
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.history.write_bytes(b"\n".join(lines))
    assert all(isinstance(entry, dict) for entry in history.last_entries(paths, 99))
