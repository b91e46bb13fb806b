"""DigitalOcean's own API, asked for lists. The provider process of every `up` imports it, so it imports little."""

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
# Where the provider looks for its token and for another URL.
TOKEN_VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
URL_VARIABLE = "DIGITALOCEAN_API_URL"
PATIENCE_SECONDS = 30
# Before it is asked again, when it has too much to do or the connection was lost.
PAUSES_SECONDS = (1, 5)


def token_in(environ: Mapping[str, str]) -> str:
    """Empty where there is none."""
    return next(filter(None, map(environ.get, TOKEN_VARIABLES)), "")


class ApiError(Exception):
    """Why there is no answer; ``status`` is HTTP's, where there was one."""

    def __init__(self, said: str, status: int | None = None) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True)
class Api:
    """An account, as far as the token reaches."""

    token: str
    url: str = URL

    def listed(self, path: str, key: str) -> list[dict[str, Any]]:
        """All pages of a list, which is called ``key`` in the answers."""
        return [each for page in self._pages(path) for each in page[key]]

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
                with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                said = f"DigitalOcean answers {error.code} to {url}: {error.read(300).decode()}"
                if not pauses or (error.code != 429 and error.code < 500):
                    raise ApiError(said, error.code) from None
            except (OSError, ValueError, http.client.HTTPException) as error:
                if not pauses:
                    raise ApiError(f"DigitalOcean can't be asked ({url}): {error}") from None
            time.sleep(pauses.pop(0))
