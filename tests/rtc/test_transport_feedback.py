from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc.errors import PacketError
from rtc.rtcp import MAX_COMPOUND_SIZE, PictureLossIndication, parse_compound
from rtc.transport_feedback import (
    AT_ONCE,
    INTERVAL,
    MAX_FEEDBACK_SIZE,
    MAX_GAP,
    MAX_REPORTED,
    FeedbackRecorder,
    TransportFeedback,
)
from tests.rtc.strategies import mutated, u8, u16, u32

MS, S = 1_000, 1_000_000
TICK = 250
WRAP = 2**24 * 64 * MS  # of the reference time

#: (status counts, deltas) that a format of 16 bits can carry.
deltas = st.none() | st.integers(0, 255) | st.integers(-0x8000, 0x7FFF)
statuses = st.lists(deltas, min_size=1, max_size=120) | st.lists(
    st.tuples(deltas, st.integers(1, 60)), min_size=1, max_size=12
).map(lambda runs: [delta for delta, count in runs for _ in range(count)])


def from_deltas(values: list[int | None]) -> tuple[int | None, ...]:
    ticks, found = 0, []
    for value in values:
        ticks += value or 0
        found.append(None if value is None else ticks)
    return tuple(found)


feedbacks = st.builds(
    TransportFeedback, u32, u32, u16, st.integers(0, 0xFFFFFF), u8, statuses.map(from_deltas)
)


def read(data: bytes) -> TransportFeedback:
    [packet] = parse_compound(data)
    assert isinstance(packet, TransportFeedback)
    return packet


def reported(datagrams: list[bytes]) -> list[tuple[int, int | None]]:
    """(number, time of arrival in ticks or None) of everything."""
    reports = [read(data) for data in datagrams]
    return [
        (r.base_sequence + n & 0xFFFF, None if a is None else r.reference * 256 + a)
        for r in reports
        for n, a in enumerate(r.arrivals)
    ]


def due(recorder: FeedbackRecorder, now: int) -> list[bytes]:
    return [feedback.serialize() for feedback in recorder.build(1, now)]


# The packet.


@given(feedbacks)
def test_what_is_written_is_read(feedback: TransportFeedback) -> None:
    data = feedback.serialize()
    assert len(data) % 4 == 0
    assert read(data) == feedback


#: Symbols small, lost, large, small, small in a vector of two bits; deltas 4, -8, 0, 255; a byte of padding.
VECTOR = bytes.fromhex("8fcd0006 01020304 05060708 0011 0005 000002 03 d250 04 fff8 00 ff 00")


def test_the_bytes_of_the_draft() -> None:
    feedback = TransportFeedback(0x01020304, 0x05060708, 0x11, 2, 3, (4, None, -4, -4, 251))
    assert read(VECTOR) == feedback
    assert feedback.serialize() == VECTOR


def test_the_padding_of_browsers_is_read() -> None:
    """They set the padding bit for fewer than four bytes, and may put another packet behind."""
    padded = b"\xaf" + VECTOR[1:-1] + b"\x01"
    assert read(padded) == read(VECTOR)
    other = PictureLossIndication(1, 2)
    assert parse_compound(padded + other.serialize()) == [read(VECTOR), other]


def test_a_vector_of_one_bit_and_a_run_are_read() -> None:
    head = bytes.fromhex("8fcd0007 00000001 00000002 fffe 0011 ffffff ff")
    # Symbols 1 0 1 and nothing else, then a run of three small: numbers across the wrap.
    feedback = read(head + bytes.fromhex("a800 2003 01 02 03 04 05 000000"))
    assert feedback.arrivals == (1, None, 3, *[None] * 11, 6, 10, 15)
    assert (feedback.base_sequence, feedback.reference, feedback.count) == (0xFFFE, 0xFFFFFF, 0xFF)
    with pytest.raises(PacketError):
        parse_compound(head + bytes.fromhex("a800 2000 2003 01 02 03 04 05 00"))  # a run of nothing


def test_a_run_may_say_more_than_the_count() -> None:
    data = bytes.fromhex("8fcd0006 00000001 00000002 0000 0002 000001 00 3fff 0a 0b 00000000")
    assert read(data).arrivals == (10, 21)


@pytest.mark.parametrize(
    "spoilt",
    [
        VECTOR[:2] + b"\x00\x03" + VECTOR[4:16],  # no statuses
        VECTOR[:14] + b"\x00\x00" + VECTOR[16:],  # about nothing
        VECTOR[:14] + b"\x00\x08" + VECTOR[16:],  # statuses end too soon
        VECTOR[:2] + b"\x00\x05" + VECTOR[4:24],  # deltas end too soon
        VECTOR[:20] + b"\xf2\x50" + VECTOR[22:],  # the reserved status
    ],
)
def test_what_lies_is_an_error(spoilt: bytes) -> None:
    with pytest.raises(PacketError):
        parse_compound(spoilt)


def test_losses_cost_no_more_than_their_cap() -> None:
    losses = TransportFeedback(1, 2, 0, 0, 0, (*[None] * (MAX_REPORTED - 1), 7))
    assert read(losses.serialize()) == losses
    assert len(losses.serialize()) < 40
    with pytest.raises(PacketError):
        parse_compound(losses.serialize() + TransportFeedback(1, 2, 0, 0, 0, (1, 2)).serialize())
    claims_more = bytearray(losses.serialize())
    claims_more[14:16] = (MAX_REPORTED + 1).to_bytes(2, "big")
    with pytest.raises(PacketError):
        parse_compound(bytes(claims_more))


def test_what_the_format_cannot_carry_is_not_written() -> None:
    for arrivals in ((), (0, 0x8000), (0x8000,), (None,) * (MAX_REPORTED + 1)):
        with pytest.raises(PacketError):
            TransportFeedback(1, 2, 0, 0, 0, arrivals).serialize()


@given(mutated(feedbacks.map(TransportFeedback.serialize)) | mutated(st.just(VECTOR)))
def test_any_bytes_are_feedback_or_an_error(data: bytes) -> None:
    try:
        packets = parse_compound(data)
    except PacketError:
        return
    assert sum(len(p.arrivals) for p in packets if isinstance(p, TransportFeedback)) <= MAX_REPORTED


def test_reading_is_quick() -> None:
    rng = random.Random(1)
    arrivals = from_deltas(
        [None if rng.random() < 0.02 else rng.choice((0, 1, 7, 300, -2)) for _ in range(900)]
    )
    data = TransportFeedback(1, 2, 0, 0, 0, arrivals).serialize()
    assert len(data) < MAX_COMPOUND_SIZE
    begun = time.process_time()
    for _ in range(30):
        parse_compound(data)
    per_packet = (time.process_time() - begun) * 1e6 / (30 * len(arrivals))
    assert per_packet < 5, "microseconds; about 0.1 on an idle machine"


# The recorder.


def test_feedback_is_due_each_interval_and_only_with_news() -> None:
    recorder = FeedbackRecorder(7)
    assert due(recorder, S) == []
    recorder.arrived([(1, S), (2, S + 300)])
    [data] = due(recorder, S + 500)
    report = read(data)
    assert (report.sender_ssrc, report.media_ssrc, report.count) == (7, 1, 0)
    assert reported([data]) == [(1, S // TICK), (2, (S + 300) // TICK)]
    recorder.arrived([(3, S + 600)])
    assert due(recorder, S + 500 + INTERVAL * 4 // 5) == []
    [data] = due(recorder, S + 500 + INTERVAL)
    assert read(data).count == 1
    assert reported([data]) == [(3, (S + 600) // TICK)]
    assert due(recorder, S + 10 * INTERVAL) == []


def test_many_packets_do_not_wait() -> None:
    recorder = FeedbackRecorder(1)
    recorder.arrived([(0, S)])
    due(recorder, S)
    recorder.arrived([(n, S + n) for n in range(1, AT_ONCE)])
    assert due(recorder, S + MS) == []
    recorder.arrived([(AT_ONCE, S + AT_ONCE)])
    assert len(reported(due(recorder, S + MS))) == AT_ONCE


def test_what_is_missing_between_two_pieces_of_feedback_is_lost() -> None:
    recorder = FeedbackRecorder(1)
    recorder.arrived([(65530, S)])
    due(recorder, S)
    recorder.arrived([(1, S + MS)])
    assert reported(due(recorder, S + S)) == [
        *[(n & 0xFFFF, None) for n in range(65531, 65537)],
        (1, (S + MS) // TICK),
    ]


def test_what_was_overtaken_is_reported_late_and_takes_nothing_back() -> None:
    recorder = FeedbackRecorder(1)
    recorder.arrived([(1, S), (3, S + MS), (4, S + MS)])
    assert dict(reported(due(recorder, S + MS)))[2] is None
    recorder.arrived([(2, S + 20 * MS), (5, S + 21 * MS)])
    found = dict(reported(due(recorder, S + 200 * MS)))
    assert found[2] == (S + 20 * MS) // TICK
    assert None not in found.values(), "3 and 4 had arrived"


def test_a_packet_that_comes_twice_counts_once() -> None:
    recorder = FeedbackRecorder(1)
    recorder.arrived([(1, S), (1, S + MS), (2, S + MS)])
    assert reported(due(recorder, S + MS)) == [(1, S // TICK), (2, (S + MS) // TICK)]
    recorder.arrived([(2, S + 2 * MS)])
    assert due(recorder, S + S) == []
    assert recorder.duplicates == 2


def test_an_outage_is_not_told_in_full() -> None:
    recorder = FeedbackRecorder(1)
    recorder.arrived([(0, S)])
    due(recorder, S)
    recorder.arrived([(30_000, 2 * S)])
    found = reported(due(recorder, 3 * S))
    assert found[-1] == (30_000, 2 * S // TICK)
    assert len(found) <= MAX_GAP + 1
    recorder.arrived([(100, 3 * S)])
    assert due(recorder, 4 * S) == []
    assert recorder.too_old == 1


def test_a_long_pause_does_not_fit_into_one_feedback() -> None:
    recorder = FeedbackRecorder(1, interval=60 * S)
    due(recorder, 0)
    recorder.arrived([(1, S), (2, 20 * S), (3, 20 * S), (4, 21 * S)])
    datagrams = due(recorder, 61 * S)
    assert len(datagrams) == 2
    assert reported(datagrams) == [(1, 4000), (2, 80_000), (3, 80_000), (4, 84_000)]


def test_the_reference_time_wraps() -> None:
    recorder = FeedbackRecorder(1)
    recorder.arrived([(1, WRAP - MS), (2, WRAP + MS)])
    [data] = due(recorder, WRAP + MS)
    report = read(data)
    assert report.reference == 0xFFFFFF
    assert reported([data]) == [(1, (WRAP - MS) // TICK), (2, (WRAP + MS) // TICK)]
    recorder.arrived([(3, WRAP + 100 * MS)])
    [data] = due(recorder, WRAP + S)
    assert (read(data).reference, reported([data])) == (1, [(3, 400)])


def test_the_count_of_feedback_wraps() -> None:
    recorder = FeedbackRecorder(1)
    numbers = []
    for n in range(258):
        recorder.arrived([(n, n * S)])
        numbers += [read(data).count for data in due(recorder, n * S)]
    assert numbers == [n & 0xFF for n in range(258)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(u16 | st.integers(0, 3000), st.integers(0, 10 * S)), max_size=60),
            st.integers(0, 300 * MS),
        ),
        max_size=30,
    )
)
def test_any_arrivals_are_reported_within_bounds(steps: list[tuple[list[tuple[int, int]], int]]) -> None:
    recorder, now = FeedbackRecorder(1), 20 * S
    told: set[tuple[int, int]] = set()
    for arrivals, elapsed in steps:
        now += elapsed
        recorder.arrived(arrivals)
        told |= {(number, time // TICK) for number, time in arrivals}
        datagrams = due(recorder, now)
        assert all(len(data) <= MAX_FEEDBACK_SIZE for data in datagrams)
        found = reported(datagrams)
        assert len(found) <= MAX_GAP + 1
        assert {f for f in found if f[1] is not None} <= told


@settings(max_examples=30, deadline=None)
@given(u16, st.integers(0, 2**32), st.integers(2, 600), st.sampled_from((0, 5, 30)))
def test_every_packet_is_reported_as_it_came(first: int, seed: int, count: int, jitter: int) -> None:
    rng = random.Random(seed)
    sent = [(first + n & 0xFFFF, S + n * 2 * MS + rng.randrange(jitter + 1) * MS) for n in range(count)]
    came = sorted((p for p in sent[1:] if rng.random() > 0.1), key=lambda p: p[1])
    came = [sent[0], *came]
    recorder, now = FeedbackRecorder(1), S
    told: dict[int, int | None] = {}
    waiting = came
    while waiting or now < S + 3 * S:
        now += 10 * MS
        recorder.arrived([p for p in waiting if p[1] <= now])
        waiting = [p for p in waiting if p[1] > now]
        for number, ticks in reported(due(recorder, now)):
            assert told.get(number) in (None, ticks), "an arrival is not taken back"
            told[number] = ticks
    assert {n: t for n, t in told.items() if t is not None} == {n: t // TICK for n, t in came}
    newest = max((number - first & 0xFFFF) for number, _ in came)
    assert set(told) == {first + n & 0xFFFF for n in range(newest + 1)}, "and the losses between them"
