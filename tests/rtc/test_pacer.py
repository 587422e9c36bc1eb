from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout import PACER_BURST, PACER_PACKETS
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
    pacer.wait(1000, 1, first=False)
    assert pacer.due(5_000_000) == 10_000
    assert pacer.pop(5_009_999) is None
    assert pacer.pop(5_010_000) == 1
    assert pacer.due(5_010_000) == -1


def test_repairs_go_before_media_and_both_stay_in_order() -> None:
    pacer: Pacer[str] = Pacer()
    for name in ("one", "two"):
        pacer.wait(10, name, first=False)
    for name in ("again", "and again"):
        pacer.wait(10, name, first=True)
    assert not pacer.passes(0)
    assert [pacer.pop(0) for _ in range(5)] == ["again", "and again", "one", "two", None]


def test_it_is_full_with_both_kinds_together() -> None:
    pacer: Pacer[int] = Pacer()
    for index in range(PACER_PACKETS):
        assert not pacer.full
        pacer.wait(10, index, first=index % 2 == 0)
    assert pacer.full


@given(st.integers(1, 10**7), st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 1500)), min_size=1))
def test_no_more_than_the_rate_and_one_burst_ever_passes(rate: int, packets: list[tuple[int, int]]) -> None:
    pacer: Pacer[int] = Pacer()
    pacer.rate = rate
    now = start = 1_000_000
    passed = largest = 0
    for gap, size in packets:
        now += gap
        while (waited := pacer.pop(now)) is not None:
            passed += waited
        if pacer.passes(now):
            pacer.count(size, now)
            passed += size
        else:
            pacer.wait(size, size, first=False)
        largest = max(largest, size)
        allowed = (now - start + PACER_BURST) * rate / 1_000_000 + largest
        assert passed <= allowed + len(packets) * rate / 1_000_000 + 1  # each rounds down by a microsecond
