"""The same release on four servers and on one."""

from __future__ import annotations

import itertools

from bench import results, stacks
from bench.results import Times
from tests.stack import Stack

# All that the strategy allows at a time: the first alone, then the other three together.
BATCH = 3


def measure(runs: int) -> None:
    """In turn, with and without a watch: that of the first server and that of the others follow each other."""
    times = {f"{servers} watch {watch}": Times() for watch in (0, 10) for servers in (1, 4)}
    times |= {f"{servers} unchanged": Times() for servers in (1, 4)}
    with stacks.stack("one") as one, stacks.stack("four", servers=4, batch=BATCH) as four:
        stacks_of = {1: one, 4: four}
        for stack in stacks_of.values():
            _release(stack, 0)
        numbers = itertools.count(1)
        for _ in range(runs):
            for servers, stack in stacks_of.items():
                times[f"{servers} unchanged"].time(stack.up)
            for watch, (servers, stack) in itertools.product((0, 10), stacks_of.items()):
                number = next(numbers)
                stack.configure(watch=watch)
                stacks.edit(stack, number)
                times[f"{servers} watch {watch}"].time(stack.up)
                stacks.require_page(stack, number)
    results.keep("servers", {**times, "batch": BATCH})


def _release(stack: Stack, number: int) -> None:
    stacks.edit(stack, number)
    stack.up()
    stacks.require_page(stack, number)
