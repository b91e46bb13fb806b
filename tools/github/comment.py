"""Writes a preview into a pull request. Each stack has one comment, which is edited for each new preview.

A workflow runs `python3 -m tools.github.comment --stack prod --exit-status 0 preview.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.github import preview

# https://docs.github.com/en/rest/issues/comments
PAGE = 100
# The author of comments with GITHUB_TOKEN. Comments of other authors are never edited, whatever they contain.
AUTHOR = "github-actions[bot]"


@dataclass(frozen=True)
class PullRequest:
    """The comments of one pull request, through GitHub's API at the URL ``api``."""

    api: str
    repository: str
    number: int
    token: str

    def put(self, stack: str, text: str) -> str:
        """Edits the stack's comment, or creates it. Returns the comment's URL."""
        comments = f"{self.api}/repos/{self.repository}/issues"
        comment_id = self._find(f"{comments}/{self.number}/comments", preview.marker(stack))
        if comment_id is None:
            comment = self._request("POST", f"{comments}/{self.number}/comments", {"body": text})
        else:
            comment = self._request("PATCH", f"{comments}/comments/{comment_id}", {"body": text})
        return str(comment["html_url"])

    def _find(self, comments: str, marker: str) -> int | None:
        """The id of the comment that begins with the marker."""
        page = 1
        while True:
            listed: list[dict[str, Any]] = self._request("GET", f"{comments}?per_page={PAGE}&page={page}")
            for comment in listed:
                if comment["user"]["login"] == AUTHOR and comment["body"].startswith(marker):
                    return int(comment["id"])
            if len(listed) < PAGE:
                return None
            page += 1

    def _request(self, method: str, url: str, body: Mapping[str, str] | None = None) -> Any:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tools.github.comment")
    parser.add_argument("--stack", required=True)
    parser.add_argument("--exit-status", type=int, required=True, help="the exit status of the preview")
    parser.add_argument("output", type=Path, help="a file with the output of the preview")
    options = parser.parse_args()
    text = preview.comment(
        options.stack,
        options.output.read_text(errors="replace"),
        failed=options.exit_status != 0,
        commit=os.environ["COMMIT"],
        run=os.environ["RUN"],
    )
    pull_request = PullRequest(
        api=os.environ["GITHUB_API_URL"],
        repository=os.environ["GITHUB_REPOSITORY"],
        number=int(os.environ["PULL_REQUEST"]),
        token=os.environ["GITHUB_TOKEN"],
    )
    try:
        print(pull_request.put(options.stack, text))
    except urllib.error.HTTPError as error:
        body = error.read().decode(errors="replace")
        print(f"{error.url} answered {error.code}: {body}\nThe job needs the permission pull-requests: write.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
