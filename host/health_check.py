"""What a health check asks, and the answer to it."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Literal

from host.paths import Paths

# If no status is configured, any answer except an error is healthy.
HEALTHY_STATUSES = range(200, 400)
# The Host header of a site without a domain.
DEFAULT_HOST = "localhost"
EXCERPT_CHARACTERS = 100
_TITLE = re.compile(r"<title[^>]*>(.*?)</title|<h1[^>]*>(.*?)</h1", re.IGNORECASE | re.DOTALL)

# Why there is no response: no answer in time, the app or Nginx doesn't listen, a connection closed early, or no HTTP.
Fault = Literal["", "silent", "refused", "no Nginx", "closed", "no HTTP"]


@dataclass(frozen=True)
class HealthCheck:
    """A GET of ``path`` with ``host`` as its Host header, which must be answered within ``timeout`` seconds.

    ``status`` is the status of a healthy app; None means any 2xx or 3xx. ``interval`` is the number of seconds between
    two checks; None lets the caller choose. ``scheme`` is what visitors use: it is sent as X-Forwarded-Proto.
    """

    path: str
    host: str
    timeout: float = 30.0
    status: int | None = None
    interval: float | None = None
    scheme: str = "http"

    @classmethod
    def read(cls, paths: Paths) -> HealthCheck:
        """The health check of the settings, from the server's configuration.

        Raises OSError, ValueError or TypeError if there is none.
        """
        return cls(**json.loads(paths.health_settings.read_bytes()))

    @property
    def expected(self) -> str:
        return str(self.status) if self.status else "2xx or 3xx"

    def is_healthy(self, answer: Answer) -> bool:
        return answer.status == self.status if self.status else answer.status in HEALTHY_STATUSES


@dataclass(frozen=True)
class Answer:
    """A response to a health check; or, if ``status`` is None, ``text`` says why there is none.

    With a status, ``text`` is the first line of the response's text, or the title of its page. ``location`` is where
    a redirect leads. ``sets_cookie`` says that the response sets a cookie.
    """

    status: int | None
    text: str = ""
    location: str = ""
    sets_cookie: bool = False
    fault: Fault = ""

    def __str__(self) -> str:
        if self.status is None:
            return self.text
        target = f" to {self.location}" if self.location else ""
        return f"{self.status}{target}" + (f" ({self.text})" if self.text else "")


def excerpt(content_type: str, body: str) -> str:
    """The title of an HTML page, or the first line of another text. It is empty for other contents."""
    kind = content_type.partition(";")[0].strip().lower()
    line = ""
    if kind == "text/html":
        match = _TITLE.search(body)
        line = html.unescape(match[1] or match[2] or "") if match else ""
    elif kind.startswith("text/") or kind.endswith("json"):
        line = next(iter(body.strip().splitlines()), "")
    printable = "".join(character if character.isprintable() else " " for character in line)
    return " ".join(printable.split())[:EXCERPT_CHARACTERS]
