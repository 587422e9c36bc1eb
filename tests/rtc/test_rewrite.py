from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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
    waiting: list[int] = field(default_factory=list)  # on the way, overtaken
    place: int = 0  # output sequence number of packet 0
    time: int = 0
    picture: int = 0
    tl0: int = 0

    def numbers(self, index: int) -> tuple[int, int, int, int]:
        return (
            (self.sequence + index) & 0xFFFF,
            (self.timestamp + 3000 * index) & 0xFFFFFFFF,
            (self.picture_id + index) & 0x7FFF,
            (self.tl0picidx + index) & 0xFF,
        )

    def expected(self, index: int) -> Rewritten:
        closed = sum(1 for other in self.dropped if other < index)
        return Rewritten(
            (self.place + index - closed) & 0xFFFF,
            (self.time + 3000 * index) & 0xFFFFFFFF,
            (self.picture + index) & 0x7FFF,
            (self.tl0 + index) & 0xFF,
        )


class RewriterMachine(RuleBasedStateMachine):
    """Sources that are forwarded, lose packets, overtake themselves, are thinned out and replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 10.0
        self.rewriter = StreamRewriter()
        self.given: dict[int, tuple[int, int]] = {}  # unwrapped output number -> (source, index)
        self.sources: list[Source] = []
        self.begun = False

    @initialize(sequence=u16, timestamp=u32, picture_id=u15, tl0picidx=u8)
    def first_source(self, sequence: int, timestamp: int, picture_id: int, tl0picidx: int) -> None:
        source = Source(sequence, timestamp, picture_id, tl0picidx)
        source.place, source.time = sequence & 0x7FFF, timestamp
        source.picture, source.tl0 = picture_id, tl0picidx
        self.sources.append(source)

    @property
    def source(self) -> Source:
        return self.sources[-1]

    def deliver(self, index: int) -> None:
        source = self.source
        got = self.rewriter.rewrite(*source.numbers(index), self.now)
        assert got == source.expected(index)
        closed = sum(1 for other in source.dropped if other < index)
        place = source.place + index - closed
        assert self.given.setdefault(place, (len(self.sources), index)) == (len(self.sources), index)
        source.highest = max(source.highest, index)

    @rule(count=st.integers(1, 5), pause=st.floats(0, 2))
    def in_order(self, count: int, pause: float) -> None:
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
    @rule(count=st.integers(1, 5))
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
        self.rewriter.drop(source.numbers(index)[0])
        if index > source.highest:
            source.dropped.add(index)
            assert self.rewriter.rewrite(*source.numbers(index), self.now) is None

    @precondition(lambda self: self.source.highest >= 0)
    @rule(back=st.integers(1, 100))
    def packet_from_before_the_switch(self, back: int) -> None:
        if len(self.sources) > 1:
            sequence, timestamp, picture_id, tl0picidx = self.source.numbers(-back)
            assert self.rewriter.rewrite(sequence, timestamp, picture_id, tl0picidx, self.now) is None

    @precondition(lambda self: self.source.highest >= 0)
    @rule(sequence=u16, timestamp=u32, picture_id=u15, tl0picidx=u8, pause=st.floats(0.001, 2))
    def switch(self, sequence: int, timestamp: int, picture_id: int, tl0picidx: int, pause: float) -> None:
        old, last = self.source, self.source.expected(self.source.highest)
        self.now += pause
        self.rewriter.switch()
        source = Source(sequence, timestamp, picture_id, tl0picidx)
        self.sources.append(source)
        got = self.rewriter.rewrite(*source.numbers(0), self.now)
        assert got is not None
        source.place = max(self.given) + 1
        closed = sum(1 for other in old.dropped if other < old.highest)
        assert source.place == old.place + old.highest - closed + 1
        source.time, source.picture = got.timestamp, (last[2] or 0) + 1
        source.tl0 = (last[3] or 0) + 1
        step = (got.timestamp - last.timestamp) & 0xFFFFFFFF
        assert round(pause * 90000) <= step <= round((self.now - 10.0 + 1) * 90000)
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
    now, out = 0.0, []
    for index, (packets, dropped, dice) in enumerate(frames):
        now += 1 / 30
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
    rewriter.rewrite(1, 1000, None, None, 5.0)
    rewriter.switch()
    got = rewriter.rewrite(9, 777, None, None, 5.5)
    assert got == Rewritten(2, 1000 + 24000, None, None)


def test_the_pause_counts_from_the_first_packet_of_the_last_frame() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, None, None, 1.0)
    rewriter.rewrite(2, 0, None, None, 1.02)
    rewriter.switch()
    got = rewriter.rewrite(1, 5, None, None, 1.1)
    assert got is not None
    assert got.timestamp == 9000


def test_a_switch_in_the_same_moment_still_has_a_later_time() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, None, None, 1.0)
    rewriter.switch()
    got = rewriter.rewrite(1, 5, None, None, 1.0)
    assert got is not None
    assert got.timestamp == 90


def test_a_pause_of_days_does_not_run_the_clock_backwards() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, None, None, 1.0)
    rewriter.switch()
    got = rewriter.rewrite(1, 5, None, None, 1e6)
    assert got is not None
    assert 0 < got.timestamp < 2**31


def test_picture_ids_go_on_after_a_source_without_them() -> None:
    rewriter = StreamRewriter()
    rewriter.rewrite(1, 0, 50, 7, 1.0)
    rewriter.switch()
    got = rewriter.rewrite(100, 0, None, None, 1.1)
    assert got is not None
    assert (got.picture_id, got.tl0picidx) == (None, None)
    rewriter.switch()
    got = rewriter.rewrite(200, 0, 9, 9, 1.2)
    assert got is not None
    assert (got.picture_id, got.tl0picidx) == (51, 8)


def test_the_first_number_can_be_chosen_and_is_small() -> None:
    first = StreamRewriter(first_sequence_number=65535).rewrite(7, 0, None, None, 0.0)
    assert first is not None
    assert first.sequence_number == 65535
    first = StreamRewriter().rewrite(65535, 0, None, None, 0.0)
    assert first is not None
    assert first.sequence_number == 0x7FFF


def test_sender_reports_are_mapped_like_packets() -> None:
    rewriter = StreamRewriter()
    assert rewriter.map_timestamp(5) is None
    rewriter.rewrite(1, 1000, None, None, 1.0)
    rewriter.switch()
    assert rewriter.map_timestamp(5) is None
    got = rewriter.rewrite(1, 70, None, None, 2.0)
    assert got is not None
    assert rewriter.map_timestamp(70 + 450) == got.timestamp + 450


def test_drops_before_the_first_packet_do_nothing() -> None:
    rewriter = StreamRewriter(first_sequence_number=5)
    rewriter.drop(3)
    got = rewriter.rewrite(9, 0, None, None, 0.0)
    assert got is not None
    assert got.sequence_number == 5


def test_a_long_run_of_drops_is_forgotten_in_bounds() -> None:
    rewriter = StreamRewriter(first_sequence_number=0)
    rewriter.rewrite(0, 0, None, None, 0.0)
    for number in range(1, 60_001):
        rewriter.drop(number & 0xFFFF)
    assert len(rewriter._drops) <= REMEMBERED_DROPS
    got = rewriter.rewrite(60_001, 0, None, None, 0.0)
    assert got is not None
    assert got.sequence_number == 1
    assert rewriter.rewrite(59_000, 0, None, None, 0.0) is None
