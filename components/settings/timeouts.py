"""The rule of the settings ``requestTimeout`` and ``socketTimeout``."""

from __future__ import annotations

from collections.abc import Iterator


def conflicts(request_timeout: int, socket_timeout: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """The mistake that a stream may be silent for less time than its first answer may take."""
    if request_timeout > socket_timeout:
        yield (
            ("requestTimeout", "socketTimeout"),
            f"requestTimeout is {request_timeout}, but must be at most socketTimeout, which is {socket_timeout}: a"
            " WebSocket or an event stream begins with a request; allow both the same time with: pulumi config set"
            f" socketTimeout {request_timeout}; or shorten requests with: pulumi config set requestTimeout"
            f" {socket_timeout}",
        )
