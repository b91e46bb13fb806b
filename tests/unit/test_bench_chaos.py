"""The faults of the chaos measurement, and what its record says about them."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from bench import chaos, faults, results
from bench.chaos import Timeline
from bench.faults import Fault, Kind, Machine, Machines, Planned
from bench.requests import Request, write

NGINX, WORKER = faults.BALANCERS_NGINX.name, faults.PROCESSES[0].name
STRUCK = [
    Fault(kind=NGINX, machine="balancer", start=10, end=10.1),
    Fault(kind=WORKER, machine="web-0", start=20, end=20.1),
]


def request(ended: float, *, release: int = 1, status: int = 200) -> Request:
    return Request(
        due=ended, sent=ended, ended=ended, method="GET", path="/", status=status, release=str(release), problem=""
    )


def test_a_seed_always_gives_the_same_faults():
    kinds = len(chaos.KINDS)
    first, second, other = ([*islice(chaos.planned(random.Random(seed), 60), kinds)] for seed in (7, 7, 8))
    assert first == second != other
    assert {planned.kind.name for planned in first} == {kind.name for kind in chaos.KINDS}


def test_the_last_fault_kills_the_machine_of_the_balancer():
    assert [planned.kind for planned in chaos.planned(random.Random(7), 0)] == [faults.BALANCERS_MACHINE]


def test_an_outage_is_the_time_without_a_successful_request_and_belongs_to_the_fault_that_began_it():
    requests = [request(moment) for moment in (9, 9.5, 9.8, 11.8, 12, 20.5, 20.6, 23.6)]
    requests += [request(10.5, status=502), request(20.7, status=503)]
    outages = Timeline(STRUCK).longest_outages(requests)
    assert outages == pytest.approx({"": 0.5, NGINX: 2.0, WORKER: 8.5})


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the record of a measurement that began at 1000. Its second release failed."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    requests = [request(1005), request(1011, status=502), request(1012, status=503), request(1021, status=0)]
    write(tmp_path / "chaos.csv.gz", [*requests, request(1032, release=2), request(1035), request(1045)])
    document: dict[str, Any] = {
        "seed": 7,
        "minutes": 1,
        "start": 1000.0,
        "seconds": 60.0,
        "faults": [{**vars(fault), "start": fault.start + 1000, "end": fault.end + 1000} for fault in STRUCK],
        "releases": [
            {"number": 1, "start": 1000.0, "end": 1004.0},
            {"number": 2, "start": 1030.0, "end": None},
            {"number": 3, "start": 1040.0, "end": 1044.0},
        ],
        "problems": [],
    }
    results.save(chaos.PART, document)
    return tmp_path


def test_each_failed_request_is_counted_for_one_fault(record: Path):
    table = "\n".join(chaos.table())
    assert f"| {NGINX} | 1 | 2 |" in table
    assert f"| {WORKER} | 1 | 1 |" in table
    assert "7 requests in 1 minutes: 3 failed" in table
    assert "3 releases: 2 succeeded, 1 failed" in table


def test_after_a_failed_release_it_or_the_one_before_may_serve_until_the_next_one_has_succeeded(record: Path):
    # Only the last request has a page that is wrong: release 1 serves after release 3 has succeeded.
    assert [wrong.ended for wrong in chaos.saved_run().wrong_pages] == [45]


class Broken:
    """A kind of fault that records what happens, on machines that run or don't."""

    def __init__(self, hit: bool = True) -> None:
        self.events: list[str] = []
        self._hit = hit

    def strike(self, machine: Machine, number: int) -> bool:
        self.events.append(f"strike {machine.name} {number}")
        return self._hit

    def undo(self, machine: Machine) -> None:
        self.events.append(f"undo {machine.name}")


def strike(monkeypatch: pytest.MonkeyPatch, kind: Kind, *, running: set[str], number: int = 5) -> list[Fault]:
    monkeypatch.setattr(Machine, "runs", property(lambda machine: machine.name in running))
    machines = Machines([Machine(f"web-{number}", f"i-{number}") for number in range(3)], Machine("balancer", "i-9"))
    with faults.striking([Planned(kind=kind, pause=0, number=number)], machines) as struck:
        return struck.result()


def test_a_fault_hits_a_running_server_and_is_undone(monkeypatch: pytest.MonkeyPatch):
    broken = Broken()
    kind = Kind(name="broken", strike=broken.strike, undo=broken.undo)
    [fault] = strike(monkeypatch, kind, running={"web-0", "web-2", "balancer"})
    assert (fault.kind, fault.machine) == ("broken", "web-2")
    assert broken.events == ["strike web-2 2", "undo web-2"]


def test_a_fault_that_finds_nothing_to_hit_is_undone_and_not_counted(monkeypatch: pytest.MonkeyPatch):
    broken = Broken(hit=False)
    kind = Kind(name="broken", strike=broken.strike, undo=broken.undo, on_balancer=True)
    assert strike(monkeypatch, kind, running={"web-0", "balancer"}) == []
    assert broken.events == ["strike balancer 5", "undo balancer"]


def test_the_last_machine_of_the_servers_is_never_killed(monkeypatch: pytest.MonkeyPatch):
    assert strike(monkeypatch, faults.SERVERS_MACHINE, running={"web-0", "balancer"}) == []


def test_a_fault_is_undone_when_the_measurement_is_interrupted(monkeypatch: pytest.MonkeyPatch):
    broken = Broken()
    monkeypatch.setattr(Machine, "runs", property(lambda _: True))
    kind = Kind(name="broken", strike=broken.strike, undo=broken.undo, seconds=60)
    plan = [Planned(kind=kind, pause=0, number=0)] * 2
    with (
        pytest.raises(KeyboardInterrupt),
        faults.striking(plan, Machines([Machine("web-0", "i-0")], Machine("b", "i-9"))),
    ):
        while not broken.events:
            pass
        raise KeyboardInterrupt
    assert broken.events == ["strike web-0 0", "undo web-0"]
