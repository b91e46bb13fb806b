"""What can go wrong in a cloud, switched on by a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# As the real SDKs, with less patience.
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.05


class CloudError(Exception):
    """The cloud's own words for why it didn't."""


class LostReply(CloudError):
    """The cloud did it, and the answer never arrived."""


@dataclass(frozen=True)
class Call:
    """One call of the engine: ``stage`` is before the cloud did it, or after, when only the reply is missing."""

    stage: str
    operation: str
    token: str
    name: str


@dataclass
class Faults:
    """Each is on until taken away, or for a number of calls; ``only`` names the resource types that it meets."""

    # How many of the next calls are turned away, to be tried again by the provider.
    throttled: int = 0
    failing: int = 0
    # The next create of such a type is done, and its reply is lost.
    lost_replies: list[str] = field(default_factory=list[str])
    # What is made first and then tagged stays without: its provider was killed in between.
    untagged: bool = False
    # Types of which there are none left.
    no_capacity: set[str] = field(default_factory=set[str])
    # Seconds that a machine waits before it boots, and its metadata before they answer.
    slow_boot: float = 0.0
    late_metadata: float = 0.0
    # Seconds that a VPC of DigitalOcean still has what was deleted in it.
    lingering: float = 1.0
    # Zones whose machines no balancer reaches.
    unhealthy_zones: set[str] = field(default_factory=set[str])
    # Zones that aren't listed any more.
    closed_zones: set[str] = field(default_factory=set[str])
    # Told of every call; what it does is done while the engine waits.
    witness: Callable[[Call], None] = lambda _call: None
    retried: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, operation: str, token: str, name: str) -> None:
        """Turns the call away as often as the faults say; the provider tries again, but not for ever."""
        self.witness(Call("before", operation, token, name))
        for attempt in range(ATTEMPTS):
            answer = self._turned_away()
            if answer is None:
                break
            if attempt == ATTEMPTS - 1:
                raise CloudError(f"{answer} (tried {ATTEMPTS} times)")
            self.retried += 1
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        if operation == "create" and any(token.endswith(each) for each in self.no_capacity):
            raise CloudError(f"InsufficientInstanceCapacity: no capacity for {token} in this zone")

    def after(self, operation: str, token: str, name: str) -> None:
        self.witness(Call("after", operation, token, name))
        with self._lock:
            lost = next((each for each in self.lost_replies if token.endswith(each)), None)
            if operation == "create" and lost:
                self.lost_replies.remove(lost)
                raise LostReply("read: connection reset by peer")

    def _turned_away(self) -> str | None:
        with self._lock:
            if self.throttled:
                self.throttled -= 1
                return "429 Throttling: Rate exceeded"
            if self.failing:
                self.failing -= 1
                return "500 InternalError: an internal error has occurred"
        return None
