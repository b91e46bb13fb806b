"""Waits for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float, unless: Callable[[], bool] = lambda: False) -> bool:
    """Whether the condition becomes true within ``seconds``. Ends early if ``unless`` does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline or unless():
            return False
        time.sleep(0.1)
    return True
