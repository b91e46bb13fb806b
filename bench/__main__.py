"""Measures the promises in figures, or parts of them, and prints each promise beside its last measurement."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable

from bench import boot, chaos, ledger, plot, promises, results, servers, slope, throughput, unchanged, updates

# Slow measurements have fewer runs, so that each part alone takes less than 10 minutes.
PARTS: dict[str, Callable[[], None]] = {
    "ledger-1": lambda: ledger.measure(servers=1, releases=20, rate=600),
    "ledger-3": lambda: ledger.measure(servers=3, releases=20, rate=500),
    "update": lambda: updates.update(runs=5),
    "servers": lambda: servers.measure(runs=2),
    "rollback": lambda: updates.rollback(runs=6),
    "unchanged": lambda: unchanged.measure(runs=7),
    "slope": lambda: slope.measure(runs=5),
    "boot": lambda: boot.measure(runs=2),
    "throughput": lambda: throughput.measure(runs=6),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"one or more of {', '.join(PARTS)}, {chaos.PART}; or none. Default: all except {chaos.PART}",
    )
    parser.add_argument("--minutes", type=float, default=30, help="how long chaos lasts")
    parser.add_argument("--seed", type=int, help="chooses the faults of chaos; default: another one each time")
    options = parser.parse_args()
    # The engine stops its plugins with SIGINT and waits up to 5 s. A shell's background job ignores SIGINT, and so
    # would the plugins.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # With this variable, each run would compile all modules again. A user's computer compiles them once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Half an hour is too long for a run of everything.
    known = {**PARTS, chaos.PART: lambda: chaos.measure(options.minutes, options.seed)}
    parts: list[str] = options.parts or list(PARTS)
    if unknown := [part for part in parts if part not in {*known, "none"}]:
        parser.error(f"there is no part {', '.join(unknown)}; choose from {', '.join(known)}")
    for part in parts:
        if part != "none":
            print(f"measuring {part}", flush=True)
            known[part]()
    draw_pictures()
    print("\n".join(promises.table()))


def draw_pictures() -> None:
    """Draws the parts that have a picture and were measured."""
    for part in promises.LEDGERS:
        if results.load(part):
            plot.draw(part, results.FOLDER / f"{part}.svg")
    if slopes := results.load("slope"):
        plot.draw_growth(slopes["sizes"], results.FOLDER / "slope.svg")


if __name__ == "__main__":
    main()
