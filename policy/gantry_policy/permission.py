"""What a policy document of IAM allows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gantry_policy.rule import Props

# Who may do anything to any role may do everything. Only patterns that mean all of them match both of a pair.
ACTIONS = ("iam:anything", "iam:zero")
ROLES = ("arn:aws:iam::000000000000:role/anything", "arn:aws:iam::000000000000:role/zero")
# An account is one's own.
_ACCOUNT = re.compile(r"\d{12}")


def too_much(document: str | Props) -> Iterator[str]:
    """The statements that make their owner the account's: all actions, or all of IAM's, on everything.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    given: Props = json.loads(document) if isinstance(document, str) else document
    for statement in _listed(given.get("Statement")):
        action, resource = _whole(statement, "Action", ACTIONS), _whole(statement, "Resource", ROLES)
        if statement.get("Effect") == "Allow" and action and resource:
            yield f"{action} on {resource}"


def _whole(statement: Props, key: str, some: tuple[str, str]) -> str | None:
    """What in a statement means all there is, of which these are two."""
    if others := _listed(statement.get(f"Not{key}")):
        return f"all but {', '.join(others)}"
    return next((each for each in _listed(statement.get(key)) if _matches(each, some)), None)


def _matches(pattern: str, some: tuple[str, str]) -> bool:
    anywhere = _ACCOUNT.sub("0" * 12, pattern.lower())
    return all(fnmatchcase(each, anywhere) for each in some)


def _listed(given: Any) -> Sequence[Any]:
    """A single value stands for a list of one."""
    if given is None:
        return ()
    return [given] if isinstance(given, (str, Mapping)) else given
