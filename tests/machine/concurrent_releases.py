"""Releases at once, run on a server as root: forks of one process, so that no start-up decides who is first.

Reads {"rounds": number, "racers": [words of `gantry release`, ...]} as JSON from standard input and prints, for each
round, how each racer ended, and the instance that serves.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, "/opt/gantry/host.pyz")

from host import cli


def main() -> None:
    race = json.load(sys.stdin)
    print(json.dumps([run(number, race["racers"]) for number in range(race["rounds"])]))


def run(number: int, racers: list[list[str]]) -> dict[str, Any]:
    start, gun = os.pipe()
    running = [begin(words, {"ROUND": f"{number}-{each}"}, start, gun) for each, words in enumerate(racers)]
    os.close(start)
    os.close(gun)
    endings = [json.loads(Path(f"/proc/self/fd/{said}").read_text()) for said in map(ended, running)]
    return {"endings": endings, "serves": Path("/var/lib/gantry/current").readlink().name}


def begin(words: list[str], variables: dict[str, str], start: int, gun: int) -> tuple[int, int]:
    """The racer's process, and the file for its ending."""
    said = os.memfd_create("ending")
    process = os.fork()
    if process == 0:
        os.close(gun)
        os.read(start, 1)  # until the last other end of it is closed
        race(words, variables, said)
    return process, said


def race(words: list[str], variables: dict[str, str], said: int) -> NoReturn:
    sys.stdin = io.StringIO(json.dumps({"variables": variables}))
    output, began = io.StringIO(), time.monotonic()
    with redirect_stdout(output), redirect_stderr(output):
        code = cli.main(words)
    ending = {"process": os.getpid(), "release": words[1], "code": code, "said": output.getvalue()}
    os.write(said, json.dumps({**ending, "seconds": time.monotonic() - began}).encode())
    os._exit(0)


def ended(racer: tuple[int, int]) -> int:
    os.waitpid(racer[0], 0)
    return racer[1]


if __name__ == "__main__":
    main()
