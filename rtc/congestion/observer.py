"""What transport-wide feedback tells of a path, gathered until somebody looks.

The reference for the kernel's own (rtc/_fanout/observing.c), which does the same to the letter.
docs/bandwidth-estimation.md tells the rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from rtc.congestion.groups import PacketGroups
from rtc.congestion.throughput import SHORT_WINDOW, Throughput
from rtc.congestion.trend import Trendline
from rtc.fanout import SENT_PACKETS, SentPacket
from rtc.observation import KEPT_RECEIVED, Attention, Observation, Received, Usage
from rtc.sequence import SequenceUnwrapper
from rtc.transport_feedback import TICK, TransportFeedback

#: Microseconds for which a packet that was reported lost may still turn up. Longer tells of losses later.
LATE: Final = 150_000
#: Weight of a new round trip time in the smoothed one.
RTT_WEIGHT: Final = 0.2
#: Microseconds that a round trip is taken for before it was measured, and at most.
FIRST_RTT: Final = 100_000
MAX_RTT: Final = 3_000_000


class PathObserver:
    """Of one path. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._attention = Attention()
        self._groups = PacketGroups()
        self._trend = Trendline()
        self._throughput = Throughput()
        self._round_trip: int | None = None
        self._references = SequenceUnwrapper(24)
        self._highest = -1  # unwrapped number
        self._newest_sent = -1  # when it was sent
        self._open: set[int] = set()  # numbers that were reported as missing, and may still come
        self._told: deque[tuple[int, int]] = deque()  # (when it counts as lost, number), of these
        self._looked = 0
        self._matched = False  # a packet of the probe under way came
        self._packets: list[Received] = []
        self._begin()

    def _begin(self) -> None:
        self._news = self._received = self._lost = 0
        self._shortest: int | None = None
        self._least: int | None = None
        self._over = self._jumped = False

    def listen(self, attention: Attention) -> None:
        """From now on it is told when to look by these."""
        if attention.cluster != self._attention.cluster:
            self._matched = False
            self._packets.clear()
        self._attention = attention

    def feedback(self, report: TransportFeedback, sent: Sequence[SentPacket | None], now: int) -> bool:
        """Takes feedback, with what was sent under the numbers it reports, in order; whether to look now."""
        received, late, news = self._read(report, sent, now)
        if not news:
            return False  # it is about nothing that we sent, or what it says is known
        self._news += news
        self._received += len(received)
        if received:
            self._measure_round_trip(received[-1].sent, now)
            self._shortest = min([arrived - sent_at for sent_at, arrived, _, _ in received])
            self._least = self._shortest if self._least is None else min(self._least, self._shortest)
            self._detect(received)
            self._keep(received)
        self._throughput.add(received)
        if late:
            self._throughput.late(late)
        self._settle(now)
        return self._urgent() or now - self._looked >= self._attention.patience

    def observe(self, now: int) -> Observation:
        """All since the last look."""
        self._looked = now
        usage = Usage.OVER if self._over else self._trend.usage
        seen = Observation(
            self._news,
            self._received,
            self._lost,
            self._highest,
            self._shortest,
            self._least,
            self._round_trip,
            self._throughput.rate(),
            self._throughput.rate(SHORT_WINDOW),
            self._groups.jumps,
            self._trend.trend,
            self._trend.threshold,
            usage,
            self._jumped,
            tuple(self._packets),
        )
        self._packets.clear()
        self._begin()
        return seen

    def _urgent(self) -> bool:
        attention = self._attention
        return (
            self._over
            or self._jumped
            or self._lost > 0
            or attention.cluster > 0
            or (self._shortest is not None and self._shortest > attention.alarm)
        )

    def _read(
        self, report: TransportFeedback, sent: Sequence[SentPacket | None], now: int
    ) -> tuple[list[Received], int, int]:
        """Packets that are new and arrived, bytes that came after all, and of how many it is news."""
        reference = self._references.unwrap(report.reference) * 256
        first = self._first_number(report, sent)
        before = self._highest
        received: list[Received] = []
        late = news = 0
        for number, (ticks, packet) in enumerate(zip(report.arrivals, sent, strict=False), first):
            if packet is None:
                continue
            is_new = number > before
            if is_new:
                self._highest, self._newest_sent = number, packet.time
            elif number <= before - SENT_PACKETS or number not in self._open:
                continue  # it was told before
            if ticks is None:
                if is_new:
                    news += 1
                    self._miss(number, max(now, packet.time + (self._round_trip or FIRST_RTT)) + LATE)
                continue
            news += 1
            self._open.discard(number)
            if is_new:
                received.append(
                    Received(packet.time, (reference + ticks) * TICK, packet.size, packet.cluster)
                )
            else:
                late += packet.size
        if first > before + 1 and self._highest > before >= 0:
            self._throughput.gap()
        return received, late, news

    def _first_number(self, report: TransportFeedback, sent: Sequence[SentPacket | None]) -> int:
        """The first number, unwrapped: the nearest to the highest so far. After a long silence the time of
        sending tells that the numbers went round.
        """
        highest = max(self._highest, 0)
        first = highest + ((report.base_sequence - highest + 0x8000) & 0xFFFF) - 0x8000
        last = next((n for n in range(len(sent) - 1, -1, -1) if sent[n] is not None), None)
        packet = sent[last] if last is not None else None
        if last is not None and packet is not None:
            while first + last <= self._highest and packet.time > self._newest_sent:
                first += 0x10000
        return first

    def _measure_round_trip(self, sent: int, now: int) -> None:
        sample, before = min(max(now - sent, 0), MAX_RTT), self._round_trip
        self._round_trip = sample if before is None else int(before + RTT_WEIGHT * (sample - before))

    def _detect(self, received: list[Received]) -> None:
        """What the groups that ended say of the delay."""
        jumps, attention = self._groups.jumps, self._attention
        for group in self._groups.add(received):
            if group.usable and not attention.covered_from <= group.sent <= attention.covered_until:
                usage = self._trend.update(group.sent_delta, group.arrived_delta, group.arrived)
                self._over = self._over or usage is Usage.OVER
        if self._groups.jumps != jumps:
            self._trend.reset()
            self._jumped = True

    def _keep(self, received: list[Received]) -> None:
        """For a probe under way, from its first packet on."""
        cluster = self._attention.cluster
        for packet in received if cluster else ():
            self._matched = self._matched or packet.cluster == cluster
            if self._matched and len(self._packets) < KEPT_RECEIVED:
                self._packets.append(packet)

    def _miss(self, number: int, until: int) -> None:
        if len(self._told) == SENT_PACKETS:
            self._count_lost()
        self._open.add(number)
        self._told.append((until, number))

    def _settle(self, now: int) -> None:
        """Some of the missing count as lost now."""
        while self._told and now >= self._told[0][0]:
            self._count_lost()

    def _count_lost(self) -> None:
        number = self._told.popleft()[1]
        if number in self._open:
            self._open.discard(number)
            self._lost += number > self._highest - SENT_PACKETS
