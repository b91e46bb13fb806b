"""The same release on four servers and on one: all at once, and with a canary first."""

from __future__ import annotations

import itertools

from bench import results, stacks
from bench.results import Times
from tests.stack import Stack

# All that each strategy allows at a time: the four together, or the first alone and then the other three together.
STRATEGIES: dict[str, dict[str, object]] = {
    "at once": {"canary": False, "batch": None},
    "canary first": {"canary": True, "batch": 3},
}
WATCHES = (0, 10)


def measure(runs: int) -> None:
    """In turn, with and without a watch: that of a canary and that of the others follow each other."""
    times = {f"1 watch {watch}": Times() for watch in WATCHES}
    times |= {f"4 {strategy} watch {watch}": Times() for strategy in STRATEGIES for watch in WATCHES}
    with stacks.stack("one") as one, stacks.stack("four", servers=4) as four:
        for stack in (one, four):
            _release(stack, 0)
        numbers = itertools.count(1)
        for _, watch in itertools.product(range(runs), WATCHES):
            one.configure(watch=watch)
            _timed(one, next(numbers), times[f"1 watch {watch}"])
            for strategy, settings in STRATEGIES.items():
                four.configure(watch=watch, **settings)
                # Another strategy is another command for each server: only the release is to be timed.
                four.up()
                _timed(four, next(numbers), times[f"4 {strategy} watch {watch}"])
    results.keep("servers", {**times})


def _timed(stack: Stack, number: int, times: Times) -> None:
    stacks.edit(stack, number)
    times.time(stack.up)
    stacks.require_page(stack, number)


def _release(stack: Stack, number: int) -> None:
    stacks.edit(stack, number)
    stack.up()
    stacks.require_page(stack, number)
