from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.reports import ReceptionStatistics, SendStatistics, from_ntp, middle_ntp, round_trip_time, to_ntp
from rtc.rtcp import ReportBlock, SenderReport
from tests.rtc.strategies import u16


@given(st.floats(0, 4e9))
def test_ntp_round_trip(wall_clock: float) -> None:
    assert math.isclose(from_ntp(to_ntp(wall_clock)), wall_clock, abs_tol=1e-6)


def test_nothing_is_reported_of_nothing() -> None:
    assert ReceptionStatistics(90000).report_block(1, 0.0) is None
    assert SendStatistics(90000).sender_report(1, 0.0, 0.0) is None


@given(u16, st.lists(st.booleans(), min_size=1, max_size=300))
def test_losses_are_counted_across_the_wrap(start: int, arrives: list[bool]) -> None:
    statistics = ReceptionStatistics(90000)
    arrives = [True, *arrives, True]
    for index, here in enumerate(arrives):
        if here:
            statistics.received((start + index) & 0xFFFF, index * 3000, index / 30)
    block = statistics.report_block(7, 20.0)
    assert block is not None
    lost = arrives.count(False)
    assert block.cumulative_lost == statistics.lost_packets == lost
    assert block.fraction_lost == lost * 256 // len(arrives)
    assert block.highest_sequence == start + len(arrives) - 1
    assert block.jitter == 0


def test_the_fraction_is_of_the_time_since_the_last_report() -> None:
    statistics = ReceptionStatistics(90000)
    for number in (0, 2, 4):
        statistics.received(number, 0, 0.0)
    first = statistics.report_block(1, 1.0)
    for number in range(5, 13):
        statistics.received(number, 0, 0.0)
    second = statistics.report_block(1, 2.0)
    assert first is not None
    assert second is not None
    assert (first.fraction_lost, first.cumulative_lost) == (2 * 256 // 5, 2)
    assert (second.fraction_lost, second.cumulative_lost) == (0, 2)


def test_duplicates_do_not_make_the_fraction_negative() -> None:
    statistics = ReceptionStatistics(90000)
    for number in (1, 1, 1, 2):
        statistics.received(number, 0, 0.0)
    block = statistics.report_block(1, 1.0)
    assert block is not None
    assert (block.fraction_lost, block.cumulative_lost) == (0, -2)
    assert ReportBlock(*(0,) * 7).serialize() == bytes(24)


def test_jitter_follows_the_rfc() -> None:
    statistics = ReceptionStatistics(8000)
    expected = 0.0
    times = [0.0, 0.021, 0.039, 0.065, 0.08]
    for index, now in enumerate(times):
        statistics.received(index, (0xFFFFFF00 + index * 160) & 0xFFFFFFFF, now)
        if index:
            transit = abs((now - times[index - 1]) * 8000 - 160)
            expected += (transit - expected) / 16
    assert statistics.jitter == pytest.approx(expected)
    assert statistics.jitter_seconds == pytest.approx(expected / 8000)


def test_a_new_clock_is_not_jitter() -> None:
    statistics = ReceptionStatistics(90000)
    statistics.received(1, 0, 0.0)
    statistics.received(2, 2_000_000_000, 0.03)
    assert statistics.jitter == 0


def test_one_stray_number_is_ignored_and_two_in_a_row_are_a_restart() -> None:
    statistics = ReceptionStatistics(90000)
    statistics.received(100, 0, 0.0)
    statistics.received(30000, 0, 0.0)
    assert statistics.expected_packets == 1
    statistics.received(101, 0, 0.0)
    statistics.received(30000, 0, 0.0)
    statistics.received(30001, 0, 0.0)
    assert (statistics.expected_packets, statistics.received_packets) == (1, 1)


@given(st.lists(st.tuples(u16, st.integers(0, 2**32 - 1), st.floats(0, 1)), max_size=100))
def test_any_numbers_give_a_block_that_can_be_written(steps: list[tuple[int, int, float]]) -> None:
    statistics = ReceptionStatistics(90000)
    now = 0.0
    for number, timestamp, pause in steps:
        now += pause
        statistics.received(number, timestamp, now)
        block = statistics.report_block(1, now)
        assert block is not None
        assert len(block.serialize()) == 24


def test_a_sender_report_is_named_with_its_age() -> None:
    statistics = ReceptionStatistics(90000)
    statistics.received(1, 0, 0.0)
    report = SenderReport(1, to_ntp(1000.0), 0, 1, 1)
    statistics.sender_report(report, 5.0)
    block = statistics.report_block(1, 5.5)
    assert block is not None
    assert block.last_sender_report == middle_ntp(report.ntp_time)
    assert block.delay_since_last == 32768


def test_the_round_trip_is_what_the_two_clocks_say() -> None:
    sent = to_ntp(1000.0)
    block = ReportBlock(1, 0, 0, 0, 0, middle_ntp(sent), 32768)
    assert round_trip_time(block, 1000.58) == pytest.approx(0.08, abs=1e-4)
    assert round_trip_time(block, 1000.4) == 0.0
    assert round_trip_time(ReportBlock(1, 0, 0, 0, 0, 0, 0), 1000.0) is None


def test_a_sender_report_extrapolates_the_timestamp() -> None:
    statistics = SendStatistics(90000)
    statistics.sent(100, 0xFFFFFFFF, 1.0)
    statistics.sent(50, 0xFFFFFFFF, 1.0)
    report = statistics.sender_report(9, 1.5, 2000.0)
    assert report == SenderReport(9, to_ntp(2000.0), 44999, 2, 150)
