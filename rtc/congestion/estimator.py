"""How much a path can carry, as its sender sees it: docs/bandwidth-estimation.md tells the rules.

In the manner of Google congestion control (draft-ietf-rmcat-gcc-02) with libwebrtc's trendline filter. Times
are microseconds of one monotonic clock, rates bit/s. Pure: nothing is sent from here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from rtc.congestion.groups import PacketGroups, Received
from rtc.congestion.loss import LOW, LossLimit
from rtc.congestion.probes import Probe, Probes
from rtc.congestion.queue import SEVERE, QueueWatch
from rtc.congestion.rate_control import RateControl
from rtc.congestion.throughput import SHORT_WINDOW, Throughput
from rtc.congestion.trend import Trendline, Usage
from rtc.fanout import SentPacket
from rtc.sequence import SequenceUnwrapper
from rtc.transport_feedback import TICK, TransportFeedback

#: Packets leave at this many times the target at most. More sends a key frame in less time and makes short
#: queues.
PACING: Final = 2.5
#: The same while a queue is being emptied, of what may be sent afterwards. More lets what waits at the sender
#: keep the queue full; less makes it wait so long that it is of no use any more.
DRAIN_PACING: Final = 0.95
#: Part of what comes through that is sent while the queue is emptied, and when it is so long (queue.SEVERE)
#: that nobody can talk over it. Lower is sooner done with it.
DRAIN: Final = 0.7
DEEP_DRAIN: Final = 0.4
#: Microseconds without any feedback, though packets are sent, until the rate falls; then it falls to
#: SILENT_PART each SILENT_STEP. Shorter takes a lost feedback for a broken path.
SILENCE: Final = 1_000_000
SILENT_STEP: Final = 500_000
SILENT_PART: Final = 0.7
#: Microseconds for which a packet that was reported lost may still turn up. Longer tells of losses later.
LATE: Final = 150_000
#: Pieces of feedback a second, and at once, that are looked at: a receiver that sends more costs no more.
FEEDBACKS_PER_SECOND: Final = 100
#: What a probe showed counts if it is more than the target by this factor: the probe of a path that is full
#: leaves a queue, and the last few percent are found by the ordinary rise without one.
WORTHWHILE: Final = 1.1
#: Microseconds of queue below which a slope is a burst, which a picture makes on every thin path, and no
#: reason to lower the rate. Higher leaves longer queues, lower lowers the rate of a path that is not full.
NO_QUEUE: Final = 5_000
#: Microseconds of queue above which nothing is probed: the path is full, as everybody can see.
PROBED: Final = 40_000
#: Weight of a new round trip time in the smoothed one.
RTT_WEIGHT: Final = 0.2
#: Microseconds that a round trip is taken for before it was measured, and at most.
FIRST_RTT: Final = 100_000
MAX_RTT: Final = 3_000_000
#: Bit/s up to which the rate rises for a peer that gives neither transport-wide feedback nor REMB: its
#: reports tell of losses only.
BLIND_MAXIMUM: Final = 3_000_000
#: Part a second by which it rises: such a peer cannot be probed, only sent more. Higher tries more than the
#: path carries more often, lower leaves pictures small for longer.
BLIND_RISE: Final = 0.2
#: A REMB of this part of what flows is none that the path forces, and one of this part of the last one has
#: not fallen. Higher takes noise for a full path, lower sees a full path later.
FLOWS: Final = 0.9
REMB_FELL: Final = 0.97


class SendSideEstimator:
    """The estimate for one path. Not for use by two threads at once."""

    def __init__(self, start: int = 1_000_000, minimum: int = 50_000, maximum: int = 30_000_000) -> None:
        self._minimum, self._maximum = minimum, maximum
        #: Bit/s that may be sent: media, repairs and probes together.
        self.target = start
        #: Smoothed round trip time in microseconds; None before the first.
        self.rtt: int | None = None
        self.ignored = 0  # feedback beyond FEEDBACKS_PER_SECOND
        self._control = RateControl(start, minimum, maximum)
        self._groups = PacketGroups()
        self._trend = Trendline()
        self._queue = QueueWatch()
        self._throughput = Throughput()
        self._through: int | None = None  # bit/s that came through, as last known
        self._loss = LossLimit()
        self._probes = Probes()
        self._remb: int | None = None  # where it holds
        self._last_remb = 0
        self._references = SequenceUnwrapper(24)
        self._highest = -1  # unwrapped number
        self._newest_sent = -1  # when it was sent
        self._open: set[int] = set()  # numbers that were reported as missing, and may still come
        self._told: deque[tuple[int, int]] = deque()  # (when it counts as lost, number), of these
        self._heard: int | None = None  # transport-wide feedback
        self._reported: int | None = None  # a receiver report
        self._waiting_since: int | None = None
        self._now = 0
        self._next_step = 0
        self._allowance, self._allowance_time = FEEDBACKS_PER_SECOND * 1_000_000, 0

    # What is told.

    def sent(self, now: int) -> None:
        """Packets with transport-wide numbers go out. Call it with them, or once a tick while they flow."""
        if self._waiting_since is None:
            self._waiting_since = now

    def feedback(self, report: TransportFeedback, sent: Sequence[SentPacket | None], now: int) -> None:
        """Takes feedback, with what was sent under the numbers it reports, in order."""
        if not self._allowed(now):
            return
        received, late, news = self._read(report, sent, now)
        if not news:
            return  # it is about nothing that we sent, or what it says is known
        self._heard, self._waiting_since = now, None
        if received:
            self._measure_round_trip(received[-1].sent, now)
            self._queue.update(min([arrived - sent_at for sent_at, arrived, _, _ in received]), now)
        usage = self._detect(received)
        self._throughput.add(received)
        if late:
            self._throughput.late(late)
        through = self._through = self._throughput.rate() or self._through
        recent = self._throughput.rate(SHORT_WINDOW)
        if self._queue.severe or self._queue.began:
            usage = Usage.OVER
        elif self._queue.draining and usage is Usage.NORMAL:
            usage = Usage.UNDER  # wait until it is empty
        elif usage is Usage.OVER and self._queue.delay < NO_QUEUE:
            usage = Usage.UNDER  # a burst that has passed
        before = self._control.last_cut
        self._control.update(usage, through, recent, self.rtt or FIRST_RTT, now)
        if usage is not Usage.OVER and through and recent:
            self._control.passes(min(through, recent))
        if self._control.last_cut != before:
            self._probes.cut(now)
        self._loss.count(self._settle(now), len(received), self._allowed_rate(), recent or 0, now)
        probed = self._probes.received(received, now)
        if probed is not None and usage is not Usage.OVER and probed > WORTHWHILE * self.target:
            self._loss.passed(probed)
            self._control.probed(max(probed, int(self._control.rate)))
        self._loss.relax(self._control.rate)
        self._set_target(recent)

    def receiver_report(self, fraction_lost: float, rtt: int | None, now: int) -> None:
        """A receiver report: the part lost since the last one (0..1) and the round trip time in microseconds.

        It steers only as long as no transport-wide feedback came.
        """
        if rtt is not None and self._heard is None:
            self.rtt = min(max(rtt, 0), MAX_RTT)
        last, self._reported = self._reported, now
        if self._heard is not None:
            return
        self._waiting_since = None
        elapsed = min(now - last, 2_000_000) if last is not None else 0
        self._loss.judge(min(max(fraction_lost, 0.0), 1.0), elapsed, self._allowed_rate())
        if self._remb is not None:
            self._control.set_rate(float(self._remb))
        elif self._loss.fraction < LOW and self._control.rate < BLIND_MAXIMUM:
            self._control.set_rate(min(self._control.rate * (1 + BLIND_RISE * elapsed / 1e6), BLIND_MAXIMUM))
        self._loss.relax(self._control.rate)
        self._set_target(None)

    def remb(self, rate: int, now: int, flowing: int | None = None) -> None:
        """The receiver's own estimate (REMB), bit/s: never more than this; for a peer without transport-wide
        feedback it is the delay-based rate.

        `flowing`: bit/s that were sent to such a peer lately, where that is known. A REMB follows what comes,
        by 8 % a second, and so says little of a path that carries little: it holds only where it is less than
        what flows, and falls or packets are lost. Else the rate may rise beyond it, and never is below what
        flows.
        """
        rate = max(rate, self._minimum)
        last, self._last_remb = self._last_remb, rate
        if self._heard is None:
            self._waiting_since = None
            if flowing is not None and (
                rate >= FLOWS * flowing or (rate > REMB_FELL * last and self._loss.fraction < LOW)
            ):
                self._remb = None
                self._control.set_rate(max(self._control.rate, float(rate), float(flowing)))
                self._loss.relax(self._control.rate)
                self._set_target(None)
                return
            self._control.set_rate(float(rate))
        self._remb = rate
        self._set_target(None)

    def tick(self, now: int) -> None:
        """Lets time pass: lowers the rate of a path that is silent, gives up probes. Every 10 to 100 ms."""
        self._now = now
        self._probes.expire(self.rtt or FIRST_RTT, now)
        since = self._waiting_since
        if since is None or now - since < SILENCE:
            self._next_step = now
            return
        if now >= self._next_step:
            self._next_step = now + SILENT_STEP
            self._probes.cut(now)
            self._control.set_rate(min(self._control.rate, self.target) * SILENT_PART)
            self._set_target(None)

    # What is said.

    @property
    def draining(self) -> bool:
        """Whether a queue is being emptied: no time to send more."""
        return self._queue.draining

    @property
    def climbing(self) -> bool:
        """Whether probes are about to show more: soon more is known."""
        return self._probes.climbing

    @property
    def lasting(self) -> int:
        """Bit/s that may be sent once the queue is empty: what layers are chosen by, where `target` is what
        an encoder can be told at once. More than `target` only while a queue is being emptied.
        """
        return max(self.target, self._clamp(self._capped_rate()))

    @property
    def pacing_rate(self) -> int:
        """Bytes a second at which packets may leave, as of the last `tick` or `probe`: the probe's rate
        while one is being sent. A queue is not filled again with what waited here.
        """
        probing = self._probes.sending_rate(self._now)
        if probing is not None:
            return probing // 8
        return int(self.lasting * DRAIN_PACING if self._queue.draining else self.target * PACING) // 8

    def probe(self, now: int, wanted: int) -> Probe | None:
        """The probe to send now, if any: `wanted` bit/s would be used. Set the pace before."""
        self._now = now
        silent = self._heard is None or now - self._heard > SILENCE
        if silent or self._queue.draining or self._queue.delay > PROBED or self._trend.usage is Usage.OVER:
            return None
        return self._probes.start(self.target, wanted, self._maximum, now)

    def unsent(self, now: int) -> None:
        """There was nothing to send the last probe with."""
        self._probes.unsent(now)

    @property
    def state(self) -> str:
        """One word for people: what holds the rate where it is."""
        if self._waiting_since is not None and self._next_step > self._waiting_since + SILENCE:
            return "silent"
        if self._queue.draining:
            return "draining"
        if self._loss.limit is not None and self._loss.limit <= self._control.rate:
            return "loss"
        if self._remb is not None and self._remb <= self._control.rate:
            return "remb"
        return self._control.state.value

    def dump(self) -> dict[str, int | float | str | None]:
        """What is known, for statistics; times in microseconds, rates in bit/s."""
        probes = self._probes
        return {
            "state": self.state,
            "target": self.target,
            "delay_rate": int(self._control.rate),
            "loss_limit": None if self._loss.limit is None else int(self._loss.limit),
            "remb": self._remb,
            "received": self._throughput.rate(),
            "fraction_lost": self._loss.fraction,
            "rtt": self.rtt,
            "queue": self._queue.delay,
            "usage": self._trend.usage.value,
            "trend": self._trend.trend,
            "threshold": self._trend.threshold,
            "probes_sent": probes.sent,
            "probes_measured": probes.measured,
            "probes_lost": probes.failed,
            "clock_jumps": self._groups.jumps,
            "ignored_feedback": self.ignored,
        }

    # Inside.

    def _allowed(self, now: int) -> bool:
        full = FEEDBACKS_PER_SECOND * 1_000_000
        gained = max(0, now - self._allowance_time) * FEEDBACKS_PER_SECOND
        self._allowance = min(full, self._allowance + gained)
        self._allowance_time = now
        if self._allowance < 1_000_000:
            self.ignored += 1
            return False
        self._allowance -= 1_000_000
        return True

    def _read(
        self, report: TransportFeedback, sent: Sequence[SentPacket | None], now: int
    ) -> tuple[list[Received], int, int]:
        """Packets that are new and arrived, bytes that came after all, and of how many it is news."""
        reference = self._references.unwrap(report.reference) * 256
        first = self._first_number(report, sent)
        before = self._highest
        received: list[Received] = []
        late = news = 0
        highest, newest = before, self._newest_sent
        for number, (ticks, packet) in enumerate(zip(report.arrivals, sent, strict=False), first):
            is_new = number > before
            if packet is None:
                continue
            if is_new:
                highest, newest = number, packet.time
            elif number not in self._open:
                continue  # it was told before
            if ticks is None:
                if is_new:
                    news += 1
                    self._open.add(number)
                    self._told.append((max(now, packet.time + (self.rtt or FIRST_RTT)) + LATE, number))
                continue
            news += 1
            self._open.discard(number)
            if is_new:
                received.append(
                    Received(packet.time, (reference + ticks) * TICK, packet.size, packet.cluster)
                )
            else:
                late += packet.size
        if first > before + 1 and highest > before >= 0:
            self._throughput.gap()
        self._highest, self._newest_sent = highest, newest
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
        sample = min(max(now - sent, 0), MAX_RTT)
        self.rtt = sample if self.rtt is None else int(self.rtt + RTT_WEIGHT * (sample - self.rtt))

    def _detect(self, received: list[Received]) -> Usage:
        """What the groups that ended say of the delay."""
        over = False
        jumps = self._groups.jumps
        for group in self._groups.add(received):
            if group.usable and not self._probes.covers(group.sent):
                usage = self._trend.update(group.sent_delta, group.arrived_delta, group.arrived)
                over = over or usage is Usage.OVER
        if self._groups.jumps != jumps:
            self._trend.reset()
            self._queue.reset()
        return Usage.OVER if over else self._trend.usage

    def _settle(self, now: int) -> int:
        """How many of the missing count as lost now."""
        lost = 0
        while self._told and now >= self._told[0][0]:
            number = self._told.popleft()[1]
            if number in self._open:
                self._open.discard(number)
                lost += 1
        return lost

    def _allowed_rate(self) -> float:
        """By delay and losses."""
        limit = self._loss.limit
        return self._control.rate if limit is None else min(self._control.rate, limit)

    def _capped_rate(self) -> float:
        rate = self._allowed_rate()
        return rate if self._remb is None else min(rate, self._remb)

    def _set_target(self, recent: int | None) -> None:
        rate = self._capped_rate()
        if self._queue.draining and recent is not None:
            rate = min(rate, recent * (DRAIN if self._queue.delay < SEVERE else DEEP_DRAIN))
        self.target = self._clamp(rate)

    def _clamp(self, rate: float) -> int:
        return int(min(max(rate, self._minimum), self._maximum))
