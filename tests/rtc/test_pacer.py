from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout import PACER_AGE, PACER_BURST, PACER_PACKETS
from rtc.pacer import Pacer


def test_without_a_rate_everything_passes() -> None:
    pacer: Pacer[int] = Pacer()
    for _ in range(1000):
        assert pacer.passes(0)
        pacer.count(1500, 0)
    assert pacer.due(0) == -1


def test_a_burst_of_ten_milliseconds_passes_and_the_rest_waits() -> None:
    pacer: Pacer[int] = Pacer()
    pacer.rate = 100_000  # 1,000 bytes are 10 ms
    passed = 0
    while pacer.passes(5_000_000):
        pacer.count(1000, 5_000_000)
        passed += 1
    assert passed == 2  # the second one begins within the burst
    pacer.wait(1, 5_000_000, first=False)
    assert pacer.due(5_000_000) == 10_000
    assert pacer.pop(5_009_999) is None
    assert pacer.pop(5_010_000) == 1
    pacer.count(1000, 5_010_000)
    assert pacer.due(5_010_000) == -1


def test_repairs_go_before_media_and_both_stay_in_order() -> None:
    pacer: Pacer[str] = Pacer()
    for name in ("one", "two"):
        pacer.wait(name, 0, first=False)
    for name in ("again", "and again"):
        pacer.wait(name, 0, first=True)
    assert not pacer.passes(0)
    assert [pacer.pop(0) for _ in range(5)] == ["again", "and again", "one", "two", None]


def test_it_is_full_with_both_kinds_together() -> None:
    pacer: Pacer[int] = Pacer()
    for index in range(PACER_PACKETS):
        assert not pacer.full
        pacer.wait(index, 0, first=index % 2 == 0)
    assert pacer.full


def test_what_waited_too_long_is_dropped_in_its_turn_and_costs_nothing() -> None:
    pacer: Pacer[str] = Pacer()
    pacer.rate = 1000
    pacer.count(1000, 0)  # through at 1 s
    pacer.wait("old", 0, first=False)
    pacer.wait("as old as may be", 1_000_000 - PACER_AGE - PACER_BURST, first=False)
    pacer.wait("old repair", 1, first=True)
    pacer.wait("new", 900_000, first=False)
    assert pacer.pop(989_999) is None
    assert (len(pacer), pacer.late) == (4, 0)  # they are looked at when it is their turn
    assert pacer.pop(990_000) == "as old as may be"
    assert pacer.late == 2
    pacer.count(1000, 990_000)
    assert pacer.pop(1_100_000) is None
    assert pacer.pop(1_990_000) is None
    assert (len(pacer), pacer.late, pacer.until) == (0, 3, 2_000_000)


@given(st.integers(1, 10**7), st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 1500)), min_size=1))
def test_no_more_than_the_rate_and_one_burst_ever_passes(rate: int, packets: list[tuple[int, int]]) -> None:
    pacer: Pacer[int] = Pacer()
    pacer.rate = rate
    now = start = 1_000_000
    passed = largest = 0
    for gap, size in packets:
        now += gap
        while (waited := pacer.pop(now)) is not None:
            pacer.count(waited, now)
            passed += waited
        if pacer.passes(now):
            pacer.count(size, now)
            passed += size
        else:
            pacer.wait(size, now, first=False)
        largest = max(largest, size)
        allowed = (now - start + PACER_BURST) * rate / 1_000_000 + largest
        assert passed <= allowed + len(packets) * rate / 1_000_000 + 1  # each rounds down by a microsecond
