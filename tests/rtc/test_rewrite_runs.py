"""What follows in order is told once for a run, and as `rewrite` would tell it packet by packet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc.rewrite import StreamRewriter

#: How far sequence number, picture and timestamp are ahead of the packet before.
PACKETS = st.lists(
    st.tuples(st.sampled_from((1, 1, 1, 2, 0x7FFF)), st.sampled_from((0, 1, 3)), st.sampled_from((0, 3000))),
    min_size=1,
    max_size=6,
)
RUNS = st.tuples(
    st.sampled_from(("run", "run", "run", "drop", "switch")),
    st.sampled_from((1, 1, 1, 0, 0xFFFF, 0x8000)),  # ahead of the run before
    st.sampled_from((1, 0, 0x7FFF)),
    PACKETS,
)


@given(
    st.lists(RUNS, max_size=12),
    st.sampled_from((0, 7, 15)),
    st.booleans(),
    st.integers(0, 0xFFFF),
    st.integers(0, 0x7FFF),
)
def test_a_run_follows_as_its_packets_would(
    runs: list[tuple[str, int, int, list[tuple[int, int, int]]]],
    bits: int,
    indexed: bool,
    sequence: int,
    picture: int,
) -> None:
    one, other = StreamRewriter(), StreamRewriter()
    time = now = 0
    for what, ahead, later, packets in runs:
        now += 33_000
        sequence, picture = sequence + ahead, picture + later
        numbers = []
        for index, (steps, pictures, ticks) in enumerate(packets):
            if index:
                sequence, picture, time = sequence + steps, picture + pictures, time + ticks
            picture_id = picture & ((1 << bits) - 1) if bits else None
            numbers.append((sequence & 0xFFFF, time, picture_id, picture & 0xFF if indexed else None))
        first = numbers[0]
        if what == "drop":
            for rewriter in (one, other):
                rewriter.drop(first[0], first[2], bits)
            continue
        if what == "switch":
            one.switch()
            other.switch()
        expected = [one.rewrite(*each, now, None, bits) for each in numbers]
        following = other.follow(first[0], first[2], bits)
        if following is None:
            assert [other.rewrite(*each, now, None, bits) for each in numbers] == expected
            continue
        place, offset, first_picture, tl0_offset, changed = following
        steps = pictures = 0
        for index, (each, packet) in enumerate(zip(numbers, packets, strict=True)):
            if index:
                steps, pictures = steps + packet[0], pictures + packet[1]
            told = expected[index]
            assert told is not None
            assert told.sequence_number == (place + steps) & 0xFFFF
            assert told.timestamp == (each[1] + offset) & 0xFFFFFFFF
            if first_picture is not None:
                assert told.picture_id == (first_picture + pictures) & 0x7FFF
            if each[3] is not None:
                assert told.tl0picidx == (each[3] + tl0_offset) & 0xFF
            if not changed:
                mask = (1 << bits) - 1
                assert told.tl0picidx == each[3]
                assert each[2] is None or (told.picture_id or 0) & mask == each[2]
        other.go_on(following, steps, [each[1] for each in numbers], pictures, numbers[-1][3], now)
        assert other.last_timestamp == one.last_timestamp
        assert other.last_sequence_number == one.last_sequence_number
        time += 3000


def test_what_a_source_begins_with_does_not_follow() -> None:
    rewriter = StreamRewriter()
    assert rewriter.follow(5, None, 0) is None
    rewriter.rewrite(5, 0, None, None, 0)
    assert rewriter.follow(6, None, 0) is not None
    assert rewriter.follow(6, 1, 15) is None  # the first picture
    rewriter.switch()
    assert rewriter.follow(6, None, 0) is None


def test_the_rest_of_a_dropped_picture_does_not_follow() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(5, 0, 7, None, 0)
    rewriter.drop(6, 8)
    assert rewriter.follow(7, 8, 15) is None
    assert rewriter.follow(7, 9, 15) is not None
