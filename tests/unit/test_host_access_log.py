"""Nginx's access log: lines of all versions, rotation, floods, and visitors who try to forge lines."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host import access_log
from host.access_log import Log, LogEntry, parse, pattern

ADDRESSES = st.ip_addresses().map(str).filter(lambda address: address != "127.0.0.1")


def line(ended: float, upstream: str = "200", address: str = "192.0.2.7", request: str = ' 200 GET "/"') -> str:
    return f'{ended:.3f} 0.100 {address} "{upstream}"{request}\n'


def escaped(text: str) -> str:
    """A variable as Nginx logs it: ngx_http_log_escape in src/http/modules/ngx_http_log_module.c."""
    characters = text.encode("utf-8", "surrogatepass").decode("latin-1")
    return "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else f"\\x{ord(c):02X}" for c in characters)


@pytest.mark.parametrize(
    ("upstream", "status"), [("200", 200), ("502, 200", 200), ("200, 502", 502), ("500 : 404", 404), ("503", 503)]
)
def test_the_last_answer_of_the_app_counts(upstream: str, status: int):
    entry = parse(line(101, upstream).strip())
    assert entry and (entry.status, entry.route, round(entry.began, 3)) == (status, "GET /", 100.9)


def test_lines_of_earlier_versions_have_no_route():
    assert parse('101.000 0.100 192.0.2.7 "502"') == LogEntry(100.9, 101.0, "192.0.2.7", 502)


@pytest.mark.parametrize(
    "text",
    [
        line(101, address="127.0.0.1"),  # a health check of a release
        line(101, "-"),  # Nginx answered itself: maintenance, or a redirect
        line(101, "-", request=' 301 GET "/"'),
        line(101)[:-5],
        line(101)[5:],
        "",
    ],
)
def test_requests_that_nginx_answered_itself_and_incomplete_lines_are_skipped(text: str):
    entry = parse(text.rstrip("\n"))
    assert entry is None or entry.began < 10, "only the first digits of the time are missing"


def test_a_visitor_who_has_left_has_no_answer():
    entry = parse(line(101, "-", request=' 499 POST "/pay"').strip())
    assert entry and entry.status is None and not entry.failed and entry.route == "POST /pay"


@pytest.mark.parametrize(
    ("address", "visitor"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix:", "unix:"),
        ("::::", "::::"),
    ],
)
def test_all_addresses_of_an_ipv6_network_are_one_visitor(address: str, visitor: str):
    assert LogEntry(0, 0, address, 200).visitor == visitor


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/items/17/edit", "/items/*/edit"),
        ("/items/17/edit?a=b", "/items/*/edit"),
        (f"/{'a' * 200}", "/*"),
        ("/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/*"),
        ("", ""),
    ],
)
def test_a_path_is_shown_without_its_values(path: str, expected: str):
    assert pattern(path) == expected


def test_a_log_that_was_rotated_or_is_created_later_is_read_from_its_start(tmp_path: Path):
    path = tmp_path / "log"
    log = Log(path)
    assert list(log.new_entries()) == []
    path.write_text(line(1))
    assert len(list(log.new_entries())) == 1
    path.rename(tmp_path / "log.1")
    path.write_text(line(2) * 3 + line(2)[:-5])
    assert len(list(log.new_entries())) == 3
    with path.open("a") as stream:
        stream.write(line(2)[-5:])
    assert len(list(log.new_entries())) == 1


def test_of_a_flood_one_look_reads_the_end_in_bounded_time(tmp_path: Path):
    path = tmp_path / "log"
    path.touch()
    log = Log(path)
    many = line(98, "500") * 20_000
    path.write_text(many * 10 + line(99, "418"))
    began = time.monotonic()
    entries = list(log.new_entries())
    assert time.monotonic() - began < 5
    assert entries[-1].status == 418
    assert 1000 < len(entries) <= access_log.LOOK_BYTES / len(line(98, "500")) + 1
    assert list(log.new_entries()) == []


@given(st.text() | st.from_regex(r'[0-9. ":a-f/-]*'))
def test_any_text_is_an_entry_or_is_skipped(text: str):
    entry = parse(text)
    if entry:
        assert entry.visitor and entry.ended < 1e12


@given(ADDRESSES, st.text(min_size=1), st.sampled_from(["200", "404", "500"]), st.data())
def test_no_path_and_no_cut_of_a_line_forges_another_visitor_or_answer(
    address: str, path: str, status: str, data: st.DataObject
):
    logged = f'1764447093.123 0.250 {address} "{status}" {status} GET "{escaped(path)}"'
    entry = parse(logged)
    assert entry and (entry.address, entry.status, entry.ended) == (address, int(status), 1764447093.123)
    # A look at a flood begins anywhere in a line. Then only the time can be wrong, and it is long ago.
    cut = parse(logged[data.draw(st.integers(1, len(logged) - 1)) :])
    assert cut is None or ((cut.address, cut.status) == (address, int(status)) and cut.ended < entry.ended)


@given(st.text())
def test_a_pattern_is_short_and_has_no_digits_of_its_own(path: str):
    found = pattern(f"/{path}")
    assert len(found) < 300
    assert pattern(found) == found
