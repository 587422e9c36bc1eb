"""Datagrams that are ready stay what they are, in order, whatever is joined, split, moved and dropped."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtc.fanout import MAX_SEGMENTS
from rtc.fanout_outbox import MEMORY_BYTES, Outbox

ADDRESSES = [b"a" * 16, b"b" * 28, b"c" * 16]


class Boxes(RuleBasedStateMachine):
    """An outbox and the list that it stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.expected: list[tuple[bytes, bytes]] = []
        self.count = 0

    def datagram(self, size: int) -> bytes:
        self.count += 1
        return (self.count.to_bytes(4, "big") * (size // 4 + 1))[:size]

    @rule(address=st.sampled_from(ADDRESSES), sizes=st.lists(st.sampled_from((0, 1, 90, 100, 100, 1500))))
    def put(self, address: bytes, sizes: list[int]) -> None:
        for size in sizes:
            data = self.datagram(size)
            self.outbox.put(address, data)
            self.expected.append((address, data))

    @rule(address=st.sampled_from(ADDRESSES), sizes=st.lists(st.integers(1, 1500), max_size=12))
    def put_together(self, address: bytes, sizes: list[int]) -> None:
        outbox = self.outbox
        outbox.make_room(sum(sizes))
        at = outbox.used
        for size in sizes:
            data = self.datagram(size)
            outbox.memory.view[at : at + size] = data
            at += size
            self.expected.append((address, data))
        outbox.add(address, sizes)

    @rule()
    def fill_a_memory(self) -> None:
        self.put(ADDRESSES[0], [1500] * (MEMORY_BYTES // 1500 - 3))

    @precondition(lambda self: self.expected)
    @rule(count=st.integers(1, MAX_SEGMENTS))
    def send(self, count: int) -> None:
        bursts = self.outbox.bursts
        head = bursts[0].split(count) if bursts[0].count > count else bursts.popleft()
        assert [(head.address, data) for data in head.datagrams()] == self.expected[: head.count]
        del self.expected[: head.count]

    @precondition(lambda self: self.expected)
    @rule()
    def try_in_vain(self) -> None:
        first = self.outbox.bursts[0]
        if first.count > 1:
            first.rejoin(first.split(1))

    @rule(excess=st.integers(1, 30))
    def cut(self, excess: int) -> None:
        excess = min(excess, len(self.expected))
        self.outbox.cut(excess)
        del self.expected[len(self.expected) - excess :]

    @rule()
    def settle(self) -> None:
        self.outbox.settle()
        assert self.outbox.used == 0

    @invariant()
    def all_is_there(self) -> None:
        bursts = self.outbox.bursts
        found = [(burst.address, data) for burst in bursts for data in burst.datagrams()]
        assert found == self.expected
        assert self.outbox.waiting() == len(found)
        for burst in bursts:
            sizes = [len(data) for data in burst.datagrams()]
            assert len(sizes) == burst.count <= MAX_SEGMENTS
            assert sum(sizes) == burst.end - burst.start
            assert set(sizes[:-1]) <= {burst.size}
            assert len(sizes) == 1 or 0 < sizes[-1] <= burst.size


TestBoxes = Boxes.TestCase
TestBoxes.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_neighbours_of_one_size_are_one_burst() -> None:
    outbox = Outbox()
    outbox.add(ADDRESSES[0], [100] * 9 + [90, 100, 101])
    outbox.add(ADDRESSES[0], [101, 5])
    outbox.add(ADDRESSES[1], [5])
    counts = [(burst.address[:1], burst.size, burst.count) for burst in outbox.bursts]
    assert counts == [(b"a", 100, 8), (b"a", 100, 2), (b"a", 100, 1), (b"a", 101, 3), (b"b", 5, 1)]


def test_memory_that_a_key_frame_took_is_let_go_again() -> None:
    outbox = Outbox()
    for _ in range(40 * MEMORY_BYTES // 1500):
        outbox.put(ADDRESSES[0], bytes(1500))
    assert len(outbox._memories) > 40
    outbox.bursts.clear()
    outbox.settle()
    assert len(outbox._memories) <= 16
