"""Starts several releases at the same moment. A test runs this script on a server, as root.

It reads {"rounds": number, "commands": [words of `gantry release`, ...]} as JSON from standard input. It prints a JSON
list with one entry for each round: how each release ended, and which deployment serves then.

The releases are forks of this process, so that none of them loses time with its start-up.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, "/opt/gantry/host.pyz")

from host import cli


@dataclass
class Fork:
    """A process that waits for the start signal and then runs a release; it writes its result to a file in memory."""

    process: int
    result_file: int

    def result(self) -> dict[str, Any]:
        """Wait for the end of the release."""
        os.waitpid(self.process, 0)
        return json.loads(Path(f"/proc/self/fd/{self.result_file}").read_text())


def main() -> None:
    options = json.load(sys.stdin)
    print(json.dumps([run_round(number, options["commands"]) for number in range(options["rounds"])]))


def run_round(number: int, commands: list[list[str]]) -> dict[str, Any]:
    # All forks wait at the read end. The start signal is that the last write end is closed.
    pipe = os.pipe()
    forks = [start_fork(words, {"ROUND": f"{number}-{index}"}, pipe) for index, words in enumerate(commands)]
    for end in pipe:
        os.close(end)
    results = [fork.result() for fork in forks]
    return {"results": results, "serves": Path("/var/lib/gantry/current").readlink().name}


def start_fork(words: list[str], variables: dict[str, str], pipe: tuple[int, int]) -> Fork:
    read_end, write_end = pipe
    result_file = os.memfd_create("result")
    process = os.fork()
    if process == 0:
        os.close(write_end)
        os.read(read_end, 1)
        run_release(words, variables, result_file)
    return Fork(process, result_file)


def run_release(words: list[str], variables: dict[str, str], result_file: int) -> NoReturn:
    sys.stdin = io.StringIO(json.dumps({"variables": variables}))
    output, start = io.StringIO(), time.monotonic()
    with redirect_stdout(output), redirect_stderr(output):
        exit_code = cli.main(words)
    result = {
        "process": os.getpid(),
        "release": words[1],
        "exit_code": exit_code,
        "output": output.getvalue(),
        "seconds": time.monotonic() - start,
    }
    os.write(result_file, json.dumps(result).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
