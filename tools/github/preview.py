"""A preview as a comment's text: what it comes to in a line, and the whole behind a fold."""

from __future__ import annotations

import re

# https://docs.github.com/en/rest/issues/comments gives no figure; its API's own error names this one, in characters.
LIMIT = 65_536


def marker(stack: str) -> str:
    """What the stack's comment is known by, unseen by readers."""
    return f"<!-- gantry preview of {stack} -->"


def comment(stack: str, output: str, *, failed: bool, commit: str, run: str) -> str:
    """The comment's text for what `make preview` printed; ``run`` is the address of the workflow's run."""
    before = (
        f"{marker(stack)}\n### `{stack}`: {verdict(output, failed)}\n\n"
        f'<details>\n<summary>Preview for {commit[:12]} · <a href="{run}">run</a></summary>\n\n'
    )
    after = "\n\n</details>\n"
    fence = _fence(output)
    room = LIMIT - len(before) - len(after) - 2 * len(fence) - len("text\n\n")
    return f"{before}{fence}text\n{shortened(output.strip(), room)}\n{fence}{after}"


def verdict(output: str, failed: bool) -> str:
    """What would happen, from the engine's own counts at the end."""
    if failed:
        return "the preview failed"
    counts = re.findall(r"^ +(?:[^\w\s]+ ?)?(\d+ (?:to [\w-]+|unchanged))$", _last_part(output), re.MULTILINE)
    changes = [count for count in counts if not count.endswith("unchanged")]
    return ", ".join(changes) or "no changes"


def shortened(text: str, room: int) -> str:
    """The text; where it is longer than ``room``, its beginning, and its end with the counts or the error."""
    if len(text) <= room:
        return text
    note = "\n\n[... {} characters left out; the run's log has them ...]\n\n"
    kept = room - len(note.format(len(text)))
    head = kept // 2
    return text[:head] + note.format(len(text) - kept) + text[len(text) - (kept - head) :]


def _last_part(output: str) -> str:
    return output.rpartition("Resources:")[2]


def _fence(text: str) -> str:
    """Longer than any row of backticks in the text, so that nothing in it ends the block."""
    longest = max((len(row) for row in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)
