"""Puts a preview into the pull request's one comment for a stack.

`python3 -m tools.github.comment --stack prod --exit-status 0 preview.txt`, in a workflow.
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
# Who GITHUB_TOKEN speaks as: another's comment is not ours to edit, whatever it says.
AUTHOR = "github-actions[bot]"


@dataclass(frozen=True)
class PullRequest:
    """The comments of one pull request, by GitHub's API at ``api``."""

    api: str
    repository: str
    number: int
    token: str

    def put(self, stack: str, text: str) -> str:
        """Edits the stack's comment, or writes its first; the comment's address."""
        comments = f"{self.api}/repos/{self.repository}/issues"
        known = self._find(f"{comments}/{self.number}/comments", preview.marker(stack))
        if known is None:
            made = self._ask("POST", f"{comments}/{self.number}/comments", {"body": text})
        else:
            made = self._ask("PATCH", f"{comments}/comments/{known}", {"body": text})
        return str(made["html_url"])

    def _find(self, comments: str, marker: str) -> int | None:
        page = 1
        while True:
            found: list[dict[str, Any]] = self._ask("GET", f"{comments}?per_page={PAGE}&page={page}")
            for each in found:
                if each["user"]["login"] == AUTHOR and each["body"].startswith(marker):
                    return int(each["id"])
            if len(found) < PAGE:
                return None
            page += 1

    def _ask(self, method: str, url: str, body: Mapping[str, str] | None = None) -> Any:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tools.github.comment")
    parser.add_argument("--stack", required=True)
    parser.add_argument("--exit-status", type=int, required=True, help="of the preview")
    parser.add_argument("output", type=Path, help="what the preview printed")
    asked = parser.parse_args()
    text = preview.comment(
        asked.stack,
        asked.output.read_text(errors="replace"),
        failed=asked.exit_status != 0,
        commit=os.environ["COMMIT"],
        run=os.environ["RUN"],
    )
    request = PullRequest(
        api=os.environ["GITHUB_API_URL"],
        repository=os.environ["GITHUB_REPOSITORY"],
        number=int(os.environ["PULL_REQUEST"]),
        token=os.environ["GITHUB_TOKEN"],
    )
    try:
        print(request.put(asked.stack, text))
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        print(f"{error.url} answered {error.code}: {said}\nThe job needs the permission pull-requests: write.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
