"""Finds statements in IAM policy documents that allow too much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gantry_policy.rules import Props

# A statement that allows all actions on all roles gives control over the account. A pattern that matches both samples
# counts as a pattern that matches everything.
IAM_ACTIONS = ("iam:anything", "iam:zero")
ROLES = ("arn:aws:iam::000000000000:role/anything", "arn:aws:iam::000000000000:role/zero")
# What reads secrets, and two samples of what each of them reads.
_PARAMETERS = ("arn:aws:ssm:eu-west-1:000000000000:parameter/a", "arn:aws:ssm:us-east-1:000000000000:parameter/b/c")
_SECRETS = (
    "arn:aws:secretsmanager:eu-west-1:000000000000:secret:a",
    "arn:aws:secretsmanager:us-east-1:000000000000:secret:b/c",
)
READS = {
    "ssm:getparameter": _PARAMETERS,
    "ssm:getparameters": _PARAMETERS,
    "ssm:getparametersbypath": _PARAMETERS,
    "secretsmanager:getsecretvalue": _SECRETS,
}
_ACCOUNT_ID = re.compile(r"\d{12}")


def excessive_statements(document: str | Props) -> Iterator[str]:
    """The statements that allow all actions, or all actions of IAM, on every role or on everything.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    for statement in _allowing(document):
        action = _unlimited(statement, "Action", IAM_ACTIONS)
        resource = _unlimited(statement, "Resource", ROLES)
        if action and resource:
            yield f"{action} on {resource}"


def statements_that_read_all_secrets(document: str | Props) -> Iterator[str]:
    """The statements that allow to read all parameters of Systems Manager, or all secrets of Secrets Manager."""
    for statement in _allowing(document):
        for read, samples in READS.items():
            action = _unlimited(statement, "Action", (read, read))
            resource = _unlimited(statement, "Resource", samples)
            if action and resource:
                yield f"{action} on {resource}"
                break


def _allowing(document: str | Props) -> Iterator[Props]:
    policy: Props = json.loads(document) if isinstance(document, str) else document
    return (statement for statement in _as_list(policy.get("Statement")) if statement.get("Effect") == "Allow")


def _unlimited(statement: Props, key: str, samples: tuple[str, str]) -> str | None:
    """The pattern in this part of a statement that matches all samples, or None."""
    if exceptions := _as_list(statement.get(f"Not{key}")):
        return f"all but {', '.join(exceptions)}"
    return next((pattern for pattern in _as_list(statement.get(key)) if _matches_all(pattern, samples)), None)


def _matches_all(pattern: str, samples: tuple[str, str]) -> bool:
    # A pattern with an account's id means that account, so it gets the id that the samples have.
    comparable = _ACCOUNT_ID.sub("0" * 12, pattern.lower())
    return all(fnmatchcase(sample, comparable) for sample in samples)


def _as_list(value: Any) -> Sequence[Any]:
    """A list; IAM accepts a single value in its place."""
    if value is None:
        return ()
    return [value] if isinstance(value, (str, Mapping)) else value
