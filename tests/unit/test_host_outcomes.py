from __future__ import annotations

import pytest

from host import outcomes
from host.errors import ReleaseError


@pytest.mark.parametrize(
    "outcome",
    [
        outcomes.ROLLED_BACK,
        outcomes.NOTHING_BEFORE,
        outcomes.STUCK,
        outcomes.NOTHING_SERVES,
        outcomes.still_serves("3f2a91c0ffee"),
    ],
)
def test_an_error_is_split_into_message_outcome_and_advice(outcome: str):
    error = ReleaseError("it doesn't start:\nKeyError: 'X'", advice="set X", outcome=outcome)
    assert outcomes.split(str(error)) == ("it doesn't start:\nKeyError: 'X'", outcome, "set X")


def test_an_error_without_an_outcome_is_all_message():
    assert outcomes.split("the disk is full\nfree 1 GB\n") == ("the disk is full\nfree 1 GB", "", "")
