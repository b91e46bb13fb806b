"""Dependencies as packages write them, such as ``requests[socks]>=2.31; python_version < "3.12"`` (PEP 508)."""

from __future__ import annotations

import re

from host.packages.lock_graph import Need

_DEPENDENCY = re.compile(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?\s*([^;@]*)(@[^;]*(?: ;|$))?;?(.*)", re.DOTALL)


def need_of(text: str) -> Need:
    """The dependency that a text names; raises ValueError if it names none. A place (``@ url``) is left out."""
    match = _DEPENDENCY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} names no package")
    name, extras, constraint, _, marker = match.groups()
    return Need(
        name=name,
        extras=tuple(extra.strip() for extra in (extras or "").split(",") if extra.strip()),
        constraint=constraint.strip().removeprefix("(").removesuffix(")"),
        marker=marker.strip(),
    )
