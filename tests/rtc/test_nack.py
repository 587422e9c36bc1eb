from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rtc.nack import MAX_MISSING, NackTracker
from tests.rtc.strategies import u16


def tracker(*numbers: int, now: float = 0.0) -> NackTracker:
    nack = NackTracker(rtt=0.04, grace=0.01, max_tries=3, max_age=0.5)
    for number in numbers:
        nack.received(number & 0xFFFF, now)
    return nack


def test_a_hole_is_asked_for_after_the_grace() -> None:
    nack = tracker(65534, 65537)
    assert nack.due(0.005) == ()
    assert nack.due(0.01) == (65535, 0)
    assert nack.requested == 2


def test_packets_that_changed_places_are_not_asked_for() -> None:
    nack = tracker(1, 3)
    assert nack.received(2, 0.005)
    assert nack.due(0.1) == ()
    assert nack.recovered == 0


def test_requests_are_repeated_by_the_round_trip_and_end() -> None:
    nack = tracker(1, 3)
    asked = [step / 1000 for step in range(0, 600, 5) if nack.due(step / 1000)]
    assert len(asked) == 3
    assert asked[0] == 0.01
    assert all(0.05 <= after - before <= 0.056 for before, after in pairwise(asked))
    assert nack.lost_for_good == 1
    assert nack.missing == 0


def test_what_is_too_old_is_given_up_even_if_nobody_looked() -> None:
    nack = tracker(1, 3)
    assert nack.due(0.6) == ()
    assert nack.lost_for_good == 1


def test_a_repeat_counts_as_recovered_once_and_teaches_the_round_trip() -> None:
    nack = tracker(1, 3)
    nack.due(0.01)
    assert nack.received(2, 0.21)
    assert not nack.received(2, 0.22)
    assert nack.recovered == 1
    assert 0.04 < nack.rtt < 0.2


def test_a_hole_too_large_is_given_up_at_once() -> None:
    nack = tracker(1, 2 + MAX_MISSING + 1)
    assert nack.missing == 0
    assert nack.lost_for_good == MAX_MISSING + 1
    assert nack.due(1.0) == ()


def test_what_precedes_a_shown_frame_is_forgotten() -> None:
    nack = tracker(65533, 65535, 1, 3)
    nack.forget_before(1)
    assert nack.due(0.02) == (2,)
    assert nack.lost_for_good == 0


def test_reset_begins_anew() -> None:
    nack = tracker(1, 3)
    nack.reset()
    nack.received(500, 0.0)
    assert nack.due(0.1) == ()


def test_a_sender_that_starts_anew_further_back_is_followed() -> None:
    nack = tracker(40000)
    for number in (20007, 20008, 20010):
        nack.received(number, 1.0)
    assert nack.due(1.02) == (20009,)


def test_one_stray_old_packet_changes_nothing() -> None:
    nack = tracker(40000, 20000, 40002)
    assert nack.due(0.02) == (40001,)


@given(u16, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 700), st.floats(0, 0.2)), max_size=200))
def test_memory_is_bounded_and_every_packet_is_accounted_for(
    start: int, steps: list[tuple[int, int, float]]
) -> None:
    nack = NackTracker()
    nack.received(start, 0.0)
    highest, now = start, 0.0
    present = {start}
    for kind, distance, pause in steps:
        now += pause
        if kind == 0:
            number = highest - distance
        else:
            number = highest + (distance if kind == 1 else 1)
        nack.received(number & 0xFFFF, now)
        present.add(number)
        highest = max(highest, number)
        asked = nack.due(now)
        assert len(set(asked)) == len(asked) <= MAX_MISSING
        assert not {n & 0xFFFF for n in present if n > highest - 30000} & set(asked)
        assert nack.missing <= MAX_MISSING
    absent = {n for n in range(start, highest) if n not in present}
    assert len(absent) <= nack.missing + nack.lost_for_good
