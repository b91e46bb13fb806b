"""The conclusions from runs without a change on few and on many servers, and the minimal program beside them."""

from __future__ import annotations

from typing import Any

import pytest

from bench import plot, promises, results, slope
from bench.slope import GANTRY, MINIMAL


def size(servers: int, resources: int, *, gantry: list[float], minimal: list[float]) -> dict[str, Any]:
    runs = {GANTRY: {"seconds": gantry, "busy": gantry}, MINIMAL: {"seconds": minimal, "busy": minimal}}
    return {"servers": servers, "resources": resources, "preview": runs, "up": runs}


def saved(gantry: float = 0.02, minimal: float = 0.02, **changes: object) -> dict[str, Any]:
    """Results of runs that take a second and, for each resource, this many seconds more."""
    sizes = [
        size(n, 100 * n, gantry=[1 + 100 * n * gantry] * 3, minimal=[1 + 100 * n * minimal] * 3) for n in (1, 2, 5)
    ]
    return {"done": 0, "logins": 0, "sizes": sizes, **changes}


def test_the_slope_is_that_of_the_line_nearest_to_the_medians():
    sizes = [
        size(1, 100, gantry=[2.0, 2.0, 9.0], minimal=[1, 1, 1]),
        size(2, 200, gantry=[4.0], minimal=[1]),
        size(3, 300, gantry=[6.0], minimal=[1]),
    ]
    assert slope.slope(sizes, "up", program=GANTRY) == pytest.approx(20)
    assert slope.slope(sizes, "up", program=MINIMAL) == pytest.approx(0)


def test_programs_are_compared_turn_by_turn():
    # In the second turn the computer is twice as slow. In the third one program is ten times as slow.
    runs = size(1, 1, gantry=[1.1, 2.2, 1.1], minimal=[1.0, 2.0, 10.0])
    assert slope.ratio(runs, "up") == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("results_of_runs", "kept"),
    [
        (saved(), True),
        (saved(0.0251, 0.0251), False),
        (saved(0.024), False),
        (saved(logins=1), False),
        (saved(done=1), False),
    ],
)
def test_the_promise_is_kept_if_runs_are_fast_and_call_neither_cloud_nor_servers(
    results_of_runs: dict[str, Any], kept: bool
):
    assert promises.slope(results_of_runs).kept is kept


def test_more_processor_time_breaks_the_promise_even_if_the_clock_shows_no_difference():
    measurement = saved()
    for runs in measurement["sizes"]:
        runs["up"][GANTRY]["busy"] = [1.2 * seconds for seconds in runs["up"][GANTRY]["seconds"]]
    assert not promises.slope(measurement).kept


def test_the_table_has_a_row_for_each_command_and_size(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "load", lambda part: saved())
    rows = slope.table()
    assert len(rows) == 2 + 2 * (3 + 1)
    assert rows[2] == "| `preview` | 1 | 100 | 3.00 | 3.00 | 1.00 | 3.00 | 3.00 | 1.00 |"
    assert rows[5] == "| `preview` | ms a resource | | 20.0 | 20.0 | | 20.0 | 20.0 | |"
    assert {row.count("|") for row in rows} == {10}


def test_the_picture_of_growth_has_a_line_for_each_command_of_each_program():
    picture = plot.growth("Growth", saved()["sizes"])
    assert picture.count("<polyline") == 4
    assert "500 (5 servers)" in picture


def test_the_stack_and_default_providers_do_not_come_from_the_program():
    kinds = {
        ("pulumi:pulumi:Stack", "gantry-sim"): False,
        ("pulumi:providers:command", "default_1_2_1"): False,
        ("pulumi:providers:aws", "sim"): True,
        ("gantry:aws:Network", "sim"): True,
    }
    urns = {key: f"urn:pulumi:sim::gantry::{key[0]}::{key[1]}" for key in kinds}
    assert {key: slope.is_from_program({"type": key[0], "urn": urn}) for key, urn in urns.items()} == kinds
