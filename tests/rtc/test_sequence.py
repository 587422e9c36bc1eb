from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.sequence import SequenceUnwrapper, is_newer


@given(
    st.sampled_from((15, 16, 32)),
    st.integers(0, 2**40),
    st.lists(st.floats(-0.49, 0.49), max_size=30),
)
def test_numbers_near_the_highest_are_restored(bits: int, start: int, steps: list[float]) -> None:
    unwrapper = SequenceUnwrapper(bits)
    size = 1 << bits
    shift = start % size - start
    assert unwrapper.unwrap(start % size) == start + shift
    highest = start
    for step in steps:
        number = highest + int(step * size)
        assert unwrapper.peek(number % size) == number + shift
        assert unwrapper.unwrap(number % size) == number + shift
        highest = max(highest, number)
        assert unwrapper.highest == highest + shift


def test_wrap_and_late() -> None:
    unwrapper = SequenceUnwrapper(16)
    assert [unwrapper.unwrap(n) for n in (65534, 0, 65535, 1)] == [65534, 65536, 65535, 65537]


def test_before_the_first_is_negative() -> None:
    unwrapper = SequenceUnwrapper(16)
    assert unwrapper.peek(9) == 9
    assert [unwrapper.unwrap(n) for n in (3, 65535)] == [3, -1]


@given(st.sampled_from((15, 16, 32)), st.data())
def test_of_two_different_numbers_one_is_newer(bits: int, data: st.DataObject) -> None:
    numbers = st.integers(0, (1 << bits) - 1)
    a, b = data.draw(numbers), data.draw(numbers)
    assert is_newer(a, b, bits) + is_newer(b, a, bits) == (a != b)


@pytest.mark.parametrize(
    ("a", "b", "newer"), [(1, 0, True), (0, 65535, True), (65535, 0, False), (5, 5, False)]
)
def test_newer(a: int, b: int, newer: bool) -> None:
    assert is_newer(a, b) is newer
