"""What is concluded from runs without a change on few and on many servers, and that the other program is alike."""

from __future__ import annotations

from typing import Any

import pytest

from bench import plot, promises, results, slope


def size(servers: int, resources: int, ours: list[float], alike: list[float]) -> dict[str, Any]:
    runs = {"ours": {"seconds": ours, "busy": ours}, "alike": {"seconds": alike, "busy": alike}}
    return {"servers": servers, "resources": resources, "preview": runs, "up": runs}


def found(ours: float = 0.02, alike: float = 0.02, **changed: object) -> dict[str, Any]:
    """Runs of a second, and so much more for each resource."""
    sizes = [size(n, 100 * n, [1 + 100 * n * ours] * 3, [1 + 100 * n * alike] * 3) for n in (1, 2, 5)]
    return {"done": 0, "logins": 0, "sizes": sizes, **changed}


def test_the_slope_is_that_of_the_line_nearest_to_the_medians():
    sizes = [size(1, 100, [2.0, 2.0, 9.0], [1, 1, 1]), size(2, 200, [4.0], [1]), size(3, 300, [6.0], [1])]
    assert slope.slope(sizes, "up", "ours") == pytest.approx(20)
    assert slope.slope(sizes, "up", "alike") == pytest.approx(0)


def test_programs_are_compared_turn_by_turn():
    # The computer was twice as slow in the second turn, and ten times in the third, for one of both only.
    assert slope.ratio(size(1, 1, [1.1, 2.2, 1.1], [1.0, 2.0, 10.0]), "up") == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        (found(), True),
        (found(0.0251, 0.0251), False),
        (found(0.024), False),
        (found(logins=1), False),
        (found(done=1), False),
    ],
)
def test_a_run_without_a_change_is_quick_and_asks_nobody_for_anything(measured: dict[str, Any], kept: bool):
    assert promises.slope(measured).kept is kept


def test_a_processor_that_is_kept_busy_for_longer_is_seen_also_where_the_clock_says_nothing():
    measured = found()
    for each in measured["sizes"]:
        each["up"]["ours"]["busy"] = [1.2 * seconds for seconds in each["up"]["ours"]["seconds"]]
    assert not promises.slope(measured).kept


def test_the_table_has_a_row_for_each_command_and_size(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "kept", lambda part: found())
    rows = slope.table()
    assert len(rows) == 2 + 2 * (3 + 1)
    assert rows[2] == "| `preview` | 1 | 100 | 3.00 | 3.00 | 1.00 | 3.00 | 3.00 | 1.00 |"
    assert rows[5] == "| `preview` | ms a resource | | 20.0 | 20.0 | | 20.0 | 20.0 | |"
    assert {row.count("|") for row in rows} == {10}


def test_the_picture_of_growth_has_a_line_for_each_command_of_each_program():
    shown = plot.growth("Growth", found()["sizes"])
    assert shown.count("<polyline") == 4
    assert "500 (5 servers)" in shown


def test_a_program_registers_neither_the_stack_nor_the_providers_that_the_engine_makes_by_itself():
    kinds = {
        ("pulumi:pulumi:Stack", "gantry-sim"): False,
        ("pulumi:providers:command", "default_1_2_1"): False,
        ("pulumi:providers:aws", "sim"): True,
        ("gantry:aws:Network", "sim"): True,
    }
    urns = {key: f"urn:pulumi:sim::gantry::{key[0]}::{key[1]}" for key in kinds}
    assert {key: slope.registered({"type": key[0], "urn": urn}) for key, urn in urns.items()} == kinds
