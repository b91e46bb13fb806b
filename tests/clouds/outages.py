"""How long a site doesn't answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.stack import get

PAUSE_SECONDS = 0.1


@dataclass
class Outage:
    """The times of good answers, each on a new connection."""

    answers: list[float] = field(default_factory=lambda: [time.monotonic()])

    @property
    def seconds(self) -> float:
        """The longest time between two good answers."""
        return max(later - earlier for earlier, later in zip(self.answers, self.answers[1:], strict=False))


@contextmanager
def outage_of(url: str) -> Iterator[Outage]:
    """Send requests during the block and five seconds longer."""
    outage, end = Outage(), threading.Event()

    def send_requests() -> None:
        while not end.wait(PAUSE_SECONDS):
            try:
                if get(url, timeout=1).status == 200:
                    outage.answers.append(time.monotonic())
            except OSError:
                continue

    thread = threading.Thread(target=send_requests)
    thread.start()
    try:
        yield outage
        time.sleep(5)
    finally:
        end.set()
        thread.join()
