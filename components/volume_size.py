"""Whether a volume may get another size. Pure functions."""

from __future__ import annotations


def mistake(old: int, new: int) -> str | None:
    """Why a volume of ``old`` GB can't have ``new`` GB; None if it can."""
    if new >= old:
        return None
    return (
        f"storage is {new}, but the volume has {old} GB, and a volume can't be made smaller: set it back with:"
        f" pulumi config set storage {old}; docs/data.md says how to move to a smaller one"
    )
