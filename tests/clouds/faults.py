"""Faults of a cloud that a test can switch on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# The real SDKs retry, too, but for minutes.
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.05


class CloudError(Exception):
    """The cloud refuses a call; the message is the cloud's."""


class CloudBusy(CloudError):
    """The cloud refuses a call for the moment. The real provider tries again, for minutes."""


class ProviderCrash(Exception):
    """The provider's process ends in the middle of a call."""


class LostReply(CloudError):
    """The cloud carried out the call, and its reply never arrived."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the engine. ``stage`` is "before" the cloud carries it out, or "after", when only the reply is left."""

    stage: str
    operation: str
    token: str
    name: str


@dataclass
class Faults:
    """Each fault lasts until the test resets it, or for a number of calls.

    Resource types are named by the end of their token, such as ``:Vpc``.
    """

    # How many of the next calls are throttled, or fail. The provider retries each of them.
    throttled_calls: int = 0
    failing_calls: int = 0
    # The next create of each of these types is carried out, and its reply is lost.
    lost_replies: list[str] = field(default_factory=list[str])
    # Resources that get their tags by a second call stay untagged, as if the provider were killed in between.
    tags_are_lost: bool = False
    # Types of which the cloud has no capacity left.
    types_without_capacity: set[str] = field(default_factory=set[str])
    # Delay of each machine's boot, and of the first answer of its metadata service.
    boot_delay_seconds: float = 0.0
    metadata_delay_seconds: float = 0.0
    # How long the provider repeats a call that the cloud refuses because it is busy.
    retry_seconds: float = 3.0
    # How long a deleted server or balancer is still a member of its VPC on DigitalOcean.
    vpc_exit_seconds: float = 1.0
    # Zones whose servers no balancer can reach.
    unhealthy_zones: set[str] = field(default_factory=set[str])
    # Zones that the cloud no longer lists.
    unlisted_zones: set[str] = field(default_factory=set[str])
    # Volumes are attached, and never become a device of their server.
    volumes_do_not_appear: bool = False
    # Called with every call of the engine, which waits until this returns.
    on_call: Callable[[Call], None] = lambda _call: None
    retry_count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, operation: str, token: str, name: str) -> None:
        """Raise the faults that come before the cloud carries out a call. Throttled calls are retried a few times."""
        self.on_call(Call(stage="before", operation=operation, token=token, name=name))
        for attempt in range(ATTEMPTS):
            message = self._next_failure()
            if message is None:
                break
            if attempt == ATTEMPTS - 1:
                raise CloudError(f"{message} (tried {ATTEMPTS} times)")
            self.retry_count += 1
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        if operation == "create" and any(token.endswith(type_) for type_ in self.types_without_capacity):
            raise CloudError(f"InsufficientInstanceCapacity: no capacity for {token} in this zone")

    def after(self, operation: str, token: str, name: str) -> None:
        """Raise LostReply where the reply of a call is to be lost."""
        self.on_call(Call(stage="after", operation=operation, token=token, name=name))
        with self._lock:
            type_ = next((type_ for type_ in self.lost_replies if token.endswith(type_)), None)
            if operation == "create" and type_:
                self.lost_replies.remove(type_)
                raise LostReply("read: connection reset by peer")

    def _next_failure(self) -> str | None:
        with self._lock:
            if self.throttled_calls:
                self.throttled_calls -= 1
                return "429 Throttling: Rate exceeded"
            if self.failing_calls:
                self.failing_calls -= 1
                return "500 InternalError: an internal error has occurred"
        return None
