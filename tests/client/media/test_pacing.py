"""A paced source keeps its rate on a virtual clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.media.pacing import Pacer


@given(st.lists(st.floats(0.0, 0.03), min_size=50, max_size=50))
def test_jitter_does_not_change_the_rate(lateness: list[float]) -> None:
    pacer = Pacer(0.04)
    now = 100.0
    dues = []
    for late in lateness:
        now += pacer.delay(now) + late
        dues.append(pacer.advance())
    assert dues == pytest.approx([100.0 + 0.04 * number for number in range(50)])


def test_a_short_stall_is_caught_up_a_long_one_is_given_up() -> None:
    pacer = Pacer(0.01, patience=0.25)
    assert pacer.delay(5.0) == 0.0
    pacer.advance()
    assert pacer.delay(5.2) == 0.0
    assert pacer.advance() == pytest.approx(5.01)
    assert pacer.delay(9.0) == 0.0
    assert pacer.advance() == 9.0


def test_a_period_is_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Pacer(0.0)
