"""Measures the same release on four servers and on one: all four at once, and with a canary first."""

from __future__ import annotations

import itertools

from bench import results, stacks
from bench.results import Times
from tests.stack import Stack

# Each strategy with as much in parallel as it allows: all four together, or one server first and then three together.
STRATEGIES: dict[str, dict[str, object]] = {
    "at once": {"canary": False, "batch": None},
    "canary first": {"canary": True, "batch": 3},
}
WATCHES = (0, 10)


def measure(runs: int) -> None:
    """Times each strategy ``runs`` times, in turn, with and without a watch.

    With a canary the watch happens twice: for the canary, and for the other servers.
    """
    times = {f"1 watch {watch}": Times() for watch in WATCHES}
    times |= {f"4 {strategy} watch {watch}": Times() for strategy in STRATEGIES for watch in WATCHES}
    with stacks.stack("one") as one, stacks.stack("four", servers=4) as four:
        for stack in (one, four):
            _release(stack, 0)
        numbers = itertools.count(1)
        for _, watch in itertools.product(range(runs), WATCHES):
            one.configure(watch=watch)
            _release(one, next(numbers), times[f"1 watch {watch}"])
            for strategy, settings in STRATEGIES.items():
                four.configure(watch=watch, **settings)
                # A new strategy changes the command of each server. This `up` keeps that out of the measured time.
                four.up()
                _release(four, next(numbers), times[f"4 {strategy} watch {watch}"])
    results.save("servers", {**times})


def _release(stack: Stack, number: int, times: Times | None = None) -> None:
    stacks.write_release(stack, number)
    (times or Times()).time(stack.up)
    stacks.require_page(stack, number)
