"""Measure parts of what is promised, and print all promises beside what was measured so far."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable

from bench import boot, ledger, plot, promises, results, servers, slope, throughput, unchanged, updates

# What takes long is asked for fewer times. Each part can be run alone, in under 10 minutes.
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
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}, or none; default: all")
    options = parser.parse_args()
    # A shell's background job ignores SIGINT, and so would plugins: the engine ends them by it, and would wait 5 s.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Where it is set, every engine's run would compile all modules anew, which happens once on a user's computer.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    wanted: list[str] = options.parts or list(PARTS)
    if unknown := [part for part in wanted if part not in {*PARTS, "none"}]:
        parser.error(f"there is no part {', '.join(unknown)}; choose of {', '.join(PARTS)}")
    for part in wanted:
        if part != "none":
            print(f"measuring {part}", flush=True)
            PARTS[part]()
    for part in promises.LEDGERS:
        if results.kept(part):
            plot.draw(part, results.FOLDER / f"{part}.svg")
    if found := results.kept("slope"):
        plot.draw_growth(found["sizes"], results.FOLDER / "slope.svg")
    print("\n".join(promises.table()))


if __name__ == "__main__":
    main()
