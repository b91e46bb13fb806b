"""Formats a preview as a pull request comment: the counts in the heading, the whole preview in a fold."""

from __future__ import annotations

import re

# In characters. The documentation names no limit, but the API's error does:
# https://docs.github.com/en/rest/issues/comments
LIMIT = 65_536


def marker(stack: str) -> str:
    """An invisible first line, by which the stack's comment is found again."""
    return f"<!-- gantry preview of {stack} -->"


def comment(stack: str, output: str, *, failed: bool, commit: str, run: str) -> str:
    """The comment for the output of `make preview`; ``run`` is the URL of the workflow's run."""
    before = (
        f"{marker(stack)}\n### `{stack}`: {verdict(output, failed)}\n\n"
        f'<details>\n<summary>Preview for {commit[:12]} · <a href="{run}">run</a></summary>\n\n'
    )
    after = "\n\n</details>\n"
    fence = _fence(output)
    room = LIMIT - len(before) - len(after) - 2 * len(fence) - len("text\n\n")
    return f"{before}{fence}text\n{shortened(output.strip(), room)}\n{fence}{after}"


def verdict(output: str, failed: bool) -> str:
    """The heading: what would change, from the engine's counts at the end of the output."""
    if failed:
        return "the preview failed"
    counts = re.findall(r"^ +(?:[^\w\s]+ ?)?(\d+ (?:to [\w-]+|unchanged))$", _last_part(output), re.MULTILINE)
    changes = [count for count in counts if not count.endswith("unchanged")]
    return ", ".join(changes) or "no changes"


def shortened(text: str, room: int) -> str:
    """The text in at most ``room`` characters: its beginning, and its end with the counts or the error."""
    if len(text) <= room:
        return text
    note = "\n\n[... {} characters left out; the run's log has them ...]\n\n"
    shown = room - len(note.format(len(text)))
    head = shown // 2
    tail = shown - head
    return text[:head] + note.format(len(text) - shown) + text[len(text) - tail :]


def _last_part(output: str) -> str:
    return output.rpartition("Resources:")[2]


def _fence(text: str) -> str:
    """More backticks than any run of them in the text, so that nothing in it ends the block."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)
