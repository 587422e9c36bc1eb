from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtc.picture_ids import REMEMBERED_PICTURES
from rtc.rewrite import REMEMBERED_DROPS, Rewritten, StreamRewriter
from tests.rtc.strategies import u8, u16, u32

u15 = st.integers(0, 0x7FFF)


@dataclass
class Source:
    """The model of one source: packet `i` bears the first numbers plus i; each frame is one packet."""

    sequence: int
    timestamp: int
    picture_id: int
    tl0picidx: int
    sent: int = 0
    highest: int = -1  # index of the highest forwarded packet
    dropped: set[int] = field(default_factory=set)  # closed over: nothing behind them had been forwarded
    pictures: list[int] = field(default_factory=list)  # the dropped ones that are remembered, in order
    left_out: set[int] = field(default_factory=set)  # pictures: all that ever were dropped
    floor: int = 0  # index of the first picture that can be placed
    waiting: list[int] = field(default_factory=list)  # on the way, overtaken
    place: int = 0  # output sequence number of packet 0
    time: int = 0
    picture: int = 0
    tl0: int = 0
    frames: int = 0

    def numbers(self, index: int) -> tuple[int, int, int, int]:
        """Sequence number, timestamp, picture id, TL0PICIDX of packet `index`."""
        return (
            (self.sequence + index) & 0xFFFF,
            (self.timestamp + 3000 * index) & 0xFFFFFFFF,
            (self.picture_id + index) & 0x7FFF,
            (self.tl0picidx + index) & 0xFF,
        )

    def drop(self, index: int) -> None:
        if index <= self.highest:
            return
        self.dropped.add(index)
        self.left_out.add(index)
        self.pictures = sorted({*self.pictures, index})
        if len(self.pictures) > REMEMBERED_PICTURES:
            half = REMEMBERED_PICTURES // 2
            self.floor = self.pictures[half - 1] + 1
            del self.pictures[:half]

    def frame(self, index: int) -> int:
        return (self.sequence * 3 + index) & 0xFFFF

    def expected(self, index: int) -> Rewritten:
        closed = sum(1 for other in self.dropped if other < index)
        left_out = sum(1 for other in self.left_out if other < index)
        return Rewritten(
            (self.place + index - closed) & 0xFFFF,
            (self.time + 3000 * index) & 0xFFFFFFFF,
            (self.picture + index - left_out) & 0x7FFF,
            (self.tl0 + index) & 0xFF,
            (self.frames + index) & 0xFFFF,
        )


class RewriterMachine(RuleBasedStateMachine):
    """Sources that are forwarded, lose packets, overtake themselves, are thinned out and replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 10_000_000
        self.rewriter = StreamRewriter()
        self.given: dict[int, tuple[int, int]] = {}  # unwrapped output number -> (source, index)
        self.sources: list[Source] = []
        self.begun = False

    @initialize(sequence=u16, timestamp=u32, picture_id=u15, tl0picidx=u8)
    def first_source(self, sequence: int, timestamp: int, picture_id: int, tl0picidx: int) -> None:
        source = Source(sequence, timestamp, picture_id, tl0picidx)
        source.place, source.time = sequence & 0x7FFF, timestamp
        source.picture, source.tl0, source.frames = picture_id, tl0picidx, source.frame(0)
        self.sources.append(source)

    @property
    def source(self) -> Source:
        return self.sources[-1]

    def rewrite(self, index: int) -> Rewritten | None:
        return self.rewriter.rewrite(*self.source.numbers(index), self.now, self.source.frame(index))

    def deliver(self, index: int) -> None:
        source = self.source
        got = self.rewrite(index)
        if index < source.floor:  # its picture is too old
            assert got is None
            if index > source.highest:
                source.dropped.add(index)
            return
        assert got == source.expected(index)
        closed = sum(1 for other in source.dropped if other < index)
        place = source.place + index - closed
        assert self.given.setdefault(place, (len(self.sources), index)) == (len(self.sources), index)
        source.highest = max(source.highest, index)

    @rule(count=st.integers(1, 5), pause=st.integers(0, 2_000_000))
    def in_order(self, count: int, pause: int) -> None:
        self.now += pause
        for _ in range(count):
            self.deliver(self.source.sent)
            self.source.sent += 1

    @precondition(lambda self: self.source.highest >= 0)
    @rule(count=st.integers(1, 40))
    def lost_or_late(self, count: int) -> None:
        self.source.waiting.extend(range(self.source.sent, self.source.sent + count))
        self.source.sent += count

    @precondition(lambda self: self.source.waiting)
    @rule(data=st.data())
    def late_one_arrives(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(self.source.waiting))
        self.source.waiting.remove(index)
        self.deliver(index)

    @precondition(lambda self: self.source.highest >= 0)
    @rule(data=st.data())
    def same_packet_again(self, data: st.DataObject) -> None:
        own = [index for owner, index in self.given.values() if owner == len(self.sources)]
        self.deliver(data.draw(st.sampled_from(own)))

    @precondition(lambda self: self.source.highest >= 0)
    @rule(count=st.integers(1, 40))
    def drop_next(self, count: int) -> None:
        for _ in range(count):
            self.drop(self.source.sent)
            self.source.sent += 1

    @precondition(lambda self: self.source.waiting)
    @rule(data=st.data())
    def drop_late(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(self.source.waiting))
        self.source.waiting.remove(index)
        self.drop(index)

    def drop(self, index: int) -> None:
        source = self.source
        sequence, _, picture_id, _ = source.numbers(index)
        self.rewriter.drop(sequence, picture_id)
        source.drop(index)
        if index > source.highest:
            assert self.rewrite(index) is None

    @precondition(lambda self: self.source.highest >= 0)
    @rule(back=st.integers(1, 100))
    def packet_from_before_the_switch(self, back: int) -> None:
        if len(self.sources) > 1:
            sequence, timestamp, picture_id, tl0picidx = self.source.numbers(-back)
            assert self.rewriter.rewrite(sequence, timestamp, picture_id, tl0picidx, self.now) is None

    @precondition(lambda self: self.source.highest >= 0)
    @rule(sequence=u16, timestamp=u32, picture_id=u15, tl0picidx=u8, pause=st.integers(1000, 2_000_000))
    def switch(self, sequence: int, timestamp: int, picture_id: int, tl0picidx: int, pause: int) -> None:
        old, last = self.source, self.source.expected(self.source.highest)
        self.now += pause
        self.rewriter.switch()
        source = Source(sequence, timestamp, picture_id, tl0picidx)
        self.sources.append(source)
        got = self.rewrite(0)
        assert got is not None
        source.place = max(self.given) + 1
        closed = sum(1 for other in old.dropped if other < old.highest)
        assert source.place == old.place + old.highest - closed + 1
        source.time, source.picture = got.timestamp, (last[2] or 0) + 1
        source.tl0, source.frames = (last[3] or 0) + 1, (last[4] or 0) + 1
        step = (got.timestamp - last.timestamp) & 0xFFFFFFFF
        assert pause * 9 // 100 <= step <= (self.now - 9_000_000) * 9 // 100
        source.sent = 1
        self.deliver(0)

    @invariant()
    def it_knows_whether_it_started(self) -> None:
        assert self.rewriter.started == bool(self.given)


TestRewriterMachine = RewriterMachine.TestCase
TestRewriterMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(u16, st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 9)), min_size=1, max_size=60))
def test_a_decoder_sees_one_unbroken_stream(start: int, frames: list[tuple[int, bool, int]]) -> None:
    """Frames of some packets each, some dropped whole, a switch now and then: nothing shows."""
    rewriter = StreamRewriter()
    sequence, timestamp, picture, tl0 = start, 0xFFFF0000, 0x7FF0, 250
    now, out = 0, []
    for index, (packets, dropped, dice) in enumerate(frames):
        now += 33_333
        if dice == 0:
            rewriter.switch()
            sequence, timestamp = (sequence * 7 + 4000) & 0xFFFF, timestamp * 3 & 0xFFFFFFFF
            picture, tl0 = picture * 5 & 0x7FFF, tl0 * 3 & 0xFF
        skip = dropped and dice != 0 and index > 0
        for _ in range(packets):
            if skip:
                rewriter.drop(sequence)
            else:
                got = rewriter.rewrite(sequence, timestamp, picture, tl0, now)
                assert got is not None
                out.append(got)
            sequence = (sequence + 1) & 0xFFFF
        timestamp = (timestamp + 3000) & 0xFFFFFFFF
        if not skip:
            picture, tl0 = (picture + 1) & 0x7FFF, (tl0 + 1) & 0xFF
    for before, after in pairwise(out):
        assert after.sequence_number == (before.sequence_number + 1) & 0xFFFF
        same = after.timestamp == before.timestamp
        assert same or 0 < (after.timestamp - before.timestamp) & 0xFFFFFFFF < 100_000_000
        assert after.picture_id == ((before.picture_id or 0) + (not same)) & 0x7FFF
        assert after.tl0picidx == ((before.tl0picidx or 0) + (not same)) & 0xFF


def test_time_goes_on_by_what_passed() -> None:
    rewriter = StreamRewriter(48000)
    rewriter.rewrite(1, 1000, None, None, 5000000)
    rewriter.switch()
    got = rewriter.rewrite(9, 777, None, None, 5500000)
    assert got == Rewritten(2, 1000 + 24000, None, None, None)


def test_the_pause_counts_from_the_first_packet_of_the_last_frame() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, None, None, 1000000)
    rewriter.rewrite(2, 0, None, None, 1020000)
    rewriter.switch()
    got = rewriter.rewrite(1, 5, None, None, 1100000)
    assert got is not None
    assert got.timestamp == 9000


def test_a_switch_in_the_same_moment_still_has_a_later_time() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, None, None, 1000000)
    rewriter.switch()
    got = rewriter.rewrite(1, 5, None, None, 1000000)
    assert got is not None
    assert got.timestamp == 90


def test_a_pause_of_days_does_not_run_the_clock_backwards() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, None, None, 1000000)
    rewriter.switch()
    got = rewriter.rewrite(1, 5, None, None, 1000000000000)
    assert got is not None
    assert 0 < got.timestamp < 2**31


def test_picture_ids_go_on_after_a_source_without_them() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, 50, 7, 1000000)
    rewriter.switch()
    got = rewriter.rewrite(100, 0, None, None, 1100000)
    assert got is not None
    assert (got.picture_id, got.tl0picidx) == (None, None)
    rewriter.switch()
    got = rewriter.rewrite(200, 0, 9, 9, 1200000)
    assert got is not None
    assert (got.picture_id, got.tl0picidx) == (51, 8)


def test_the_first_number_can_be_chosen_and_is_small() -> None:
    first = StreamRewriter(first_sequence_number=65535).rewrite(7, 0, None, None, 0)
    assert first is not None
    assert first.sequence_number == 65535
    first = StreamRewriter().rewrite(65535, 0, None, None, 0)
    assert first is not None
    assert first.sequence_number == 0x7FFF


def test_sender_reports_are_mapped_like_packets() -> None:
    rewriter = StreamRewriter()
    assert rewriter.map_timestamp(5) is None
    rewriter.rewrite(1, 1000, None, None, 1000000)
    rewriter.switch()
    assert rewriter.map_timestamp(5) is None
    got = rewriter.rewrite(1, 70, None, None, 2000000)
    assert got is not None
    assert rewriter.map_timestamp(70 + 450) == got.timestamp + 450


def test_drops_before_the_first_packet_do_nothing() -> None:
    rewriter = StreamRewriter(first_sequence_number=5)
    rewriter.drop(3)
    got = rewriter.rewrite(9, 0, None, None, 0)
    assert got is not None
    assert got.sequence_number == 5


def test_a_long_run_of_drops_is_forgotten_in_bounds() -> None:
    rewriter = StreamRewriter(first_sequence_number=0)
    rewriter.rewrite(0, 0, None, None, 0)
    for number in range(1, 60_001):
        rewriter.drop(number & 0xFFFF)
    assert len(rewriter._drops) <= REMEMBERED_DROPS
    got = rewriter.rewrite(60_001, 0, None, None, 0)
    assert got is not None
    assert got.sequence_number == 1
    assert rewriter.rewrite(59_000, 0, None, None, 0) is None


def test_sources_on_one_clock_are_aligned_by_the_offset_that_reports_give() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 1000, None, None, 1_000_000)
    rewriter.switch(500)
    got = rewriter.rewrite(9, 4000, None, None, 9_000_000)
    assert got == Rewritten(2, 4500, None, None, None)


def test_aligned_time_still_moves_on() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 1000, None, None, 1_000_000)
    rewriter.switch(-1000)
    got = rewriter.rewrite(9, 1500, None, None, 1_000_000)
    assert got == Rewritten(2, 1001, None, None, None)
    got = rewriter.rewrite(10, 1600, None, None, 1_000_000)
    assert got == Rewritten(3, 1101, None, None, None)


def test_after_a_pause_reports_do_not_count() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 1000, None, None, 1_000_000)
    rewriter.switch()
    rewriter.switch(77)
    got = rewriter.rewrite(2, 5000, None, None, 2_000_000)
    assert got == Rewritten(2, 91_000, None, None, None)


def test_the_rest_of_a_dropped_picture_is_dropped_too() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, 5, None, 0)
    rewriter.drop(2, 6)
    assert rewriter.rewrite(3, 3000, 6, None, 0) is None
    assert rewriter.rewrite(4, 6000, 7, None, 0) == Rewritten(2, 6000, 6, None, None)


def test_short_picture_ids_wrap_at_seven_bits() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, 126, None, 0, picture_bits=7)
    rewriter.drop(2, 127, 7)
    got = rewriter.rewrite(3, 3000, 0, None, 0, picture_bits=7)
    assert got == Rewritten(2, 3000, 127, None, None)


def test_a_part_that_is_forwarded_keeps_the_picture() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, 5, None, 0)
    rewriter.rewrite(2, 3000, 6, None, 0)
    rewriter.drop(3, 6)
    assert rewriter.rewrite(4, 6000, 7, None, 0) == Rewritten(3, 6000, 7, None, None)
