"""Which page comes after which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.bridge.program import next_page
from client.session.state import Phase


@pytest.mark.parametrize(
    ("page", "before", "now", "then"),
    [
        ("prejoin", Phase.IDLE, Phase.FINDING, "prejoin"),
        ("prejoin", Phase.SECURING, Phase.IN_CALL, "call"),
        ("prejoin", Phase.FINDING, Phase.FAILED, "prejoin"),  # the sentence stands where one tried
        ("prejoin", Phase.JOINING, Phase.LEFT, "prejoin"),
        ("call", Phase.IN_CALL, Phase.RECONNECTING, "call"),
        ("call", Phase.RECONNECTING, Phase.JOINING, "call"),
        ("call", Phase.RECONNECTING, Phase.FAILED, "left"),
        ("call", Phase.IN_CALL, Phase.LEFT, "left"),
        ("left", Phase.LEFT, Phase.FINDING, "prejoin"),
        ("start", Phase.IDLE, Phase.LEFT, "start"),
    ],
)
def test_next_page(page: str, before: Phase, now: Phase, then: str) -> None:
    assert next_page(page, before, now) == then


@given(st.sampled_from(["start", "prejoin", "call", "left"]), st.sampled_from(Phase), st.sampled_from(Phase))
def test_one_is_on_the_call_page_exactly_while_inside_or_on_the_way_back(
    page: str, before: Phase, now: Phase
) -> None:
    then = next_page(page, before, now)
    if now in (Phase.IN_CALL, Phase.RECONNECTING):
        assert then == "call"
    if now in (Phase.LEFT, Phase.FAILED):
        assert then != "call"
