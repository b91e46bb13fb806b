"""Versions of packages and of Python, and the constraints on them: PEP 440, and Poetry's ``^`` and ``~``."""

from __future__ import annotations

import re
from typing import Any

# https://packaging.python.org/en/latest/specifications/version-specifiers/#appendix-parsing-version-strings-with-regular-expressions
_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>\d*))?"
    r"(?P<post>-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?(?P<dev>[-_.]?dev[-_.]?\d*)?(?:\+[a-z0-9._-]+)?",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(===|==|>=|<=|!=|~=|>|<|=|\^|~)?\s*(\S+)")
_PRE_RELEASES = {"a": "a", "alpha": "a", "b": "b", "beta": "b"}
# Any final release is later than its pre-releases.
_NO_PRE_RELEASE = ("z", 0)


def satisfies(constraint: str, version: str) -> bool | None:
    """Whether ``version`` fits a constraint such as ``>=3.9,<4``, ``^3.9`` or ``2.* || 3.*``.

    Returns None if one of them can't be read.
    """
    key = parse(version)
    try:
        alternatives = re.split(r"\|\|?", constraint.strip().removeprefix("(").removesuffix(")"))
        return None if key is None else any(_all_allow(alternative, key) for alternative in alternatives)
    except ValueError:
        return None


def parse(version: str) -> tuple[Any, ...] | None:
    """A key that orders versions; None if the text isn't a version. Its second part holds the numbers."""
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        return None
    release = tuple(map(int, match["release"].split(".")))
    pre = match["pre"] and (_PRE_RELEASES.get(match["pre"].lower(), "rc"), int(match["pre_number"] or 0))
    post, dev = (_number(match[name]) for name in ("post", "dev"))
    if pre is None:
        # 1.0.dev1 is earlier than 1.0a1.
        pre = ("", 0) if dev is not None and post is None else _NO_PRE_RELEASE
    later = (-1 if post is None else post, float("inf") if dev is None else dev)
    return (int(match["epoch"] or 0), _without_zeros(release), pre, *later)


def _all_allow(constraint: str, version: tuple[Any, ...]) -> bool:
    # Poetry separates clauses by a comma or by spaces.
    text = re.sub(r"(===|==|>=|<=|!=|~=|>|<|=|\^|~)\s+", r"\1", constraint)
    return all(_allows(clause, version) for clause in re.split(r"[,\s]+", text.strip()) if clause not in ("", "*"))


def _allows(clause: str, version: tuple[Any, ...]) -> bool:
    """Raises ValueError if the clause can't be read."""
    match = _CLAUSE.fullmatch(clause)
    operator, text = (match[1] or "==", match[2]) if match else ("", "")
    is_wildcard = text.endswith(".*")
    bound = parse(text.removesuffix(".*"))
    if bound is None:
        raise ValueError(f"{clause!r} is no constraint on a version")
    digits = tuple(map(int, re.findall(r"\d+", text.split("!")[-1].split("+")[0])))
    if is_wildcard and operator in ("==", "=", "!="):
        return (_first(version, len(digits)) == digits) is (operator != "!=")
    if operator in ("^", "~", "~="):
        return version >= bound and _first(version, 9) < _end(operator, digits)
    return {
        ">=": version >= bound,
        "<=": version <= bound,
        ">": version > bound,
        "<": version < bound,
        "!=": version != bound,
    }.get(operator, version == bound)


def _end(operator: str, digits: tuple[int, ...]) -> tuple[int, ...]:
    """The first release after those that ``^``, ``~`` or ``~=`` allow."""
    if operator == "~=":
        kept = len(digits) - 1
    elif operator == "~":
        kept = min(len(digits), 2)
    else:
        # ^ keeps the first number that isn't zero.
        kept = next((index for index, digit in enumerate(digits) if digit), len(digits) - 1) + 1
    return (*digits[: kept - 1], digits[kept - 1] + 1)


def _first(version: tuple[Any, ...], count: int) -> tuple[int, ...]:
    return (*version[1], *([0] * count))[:count]


def _without_zeros(release: tuple[int, ...]) -> tuple[int, ...]:
    while len(release) > 1 and not release[-1]:
        release = release[:-1]
    return release


def _number(text: str | None) -> int | None:
    return int(re.sub(r"\D", "", text) or 0) if text is not None else None
