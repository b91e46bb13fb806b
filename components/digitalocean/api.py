"""Reads lists from DigitalOcean's API.

The provider process of every `up` imports this module, so it imports little.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

URL = "https://api.digitalocean.com"
# The provider reads its token and another URL from these variables.
TOKEN_VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
URL_VARIABLE = "DIGITALOCEAN_API_URL"
TIMEOUT_SECONDS = 30
# Seconds before the second and the third attempt, if the API is overloaded or the connection was lost.
PAUSES_SECONDS = (1, 5)


def token_in(environ: Mapping[str, str]) -> str:
    """The API token among environment variables; empty if there is none."""
    return next(filter(None, map(environ.get, TOKEN_VARIABLES)), "")


class ApiError(Exception):
    """A request to the API failed; the text says why. ``status`` is the HTTP status, if there was a response."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Api:
    """The account of an API token."""

    token: str
    url: str = URL

    def listed(self, path: str, key: str) -> list[dict[str, Any]]:
        """The items of all pages of the list at ``path``; ``key`` is the list's key in a response. Raises ApiError."""
        return [item for page in self._pages(path) for item in page[key]]

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        number, more = 1, True
        while more:
            page = self._get(f"{self.url.rstrip('/')}/v2/{path}?per_page=200&page={number}")
            yield page
            more = bool(page.get("links", {}).get("pages", {}).get("next"))
            number += 1

    def _get(self, url: str) -> dict[str, Any]:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        pauses = list(PAUSES_SECONDS)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                text = f"DigitalOcean answered {error.code} to {url}: {error.read(300).decode()}"
                if not pauses or (error.code != 429 and error.code < 500):
                    raise ApiError(text, error.code) from None
            except (OSError, ValueError, http.client.HTTPException) as error:
                if not pauses:
                    raise ApiError(f"DigitalOcean can't be reached ({url}): {error}") from None
            time.sleep(pauses.pop(0))
