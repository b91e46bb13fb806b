"""The result of the check of one layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The state of one layer. ``problem`` says what is broken and why; it is empty if nothing is.

    ``remedy`` is for people: a command or a sentence. ``repair`` does what needs no decision of a person; None if there
    is no such repair. It raises ReleaseError or OSError if it fails. ``note`` is worth a line although nothing is
    broken.
    """

    layer: str
    problem: str = ""
    remedy: str = ""
    note: str = ""
    repair: Callable[[], None] | None = None
