"""How much a path can carry, as its sender sees it: docs/bandwidth-estimation.md tells the rules.

In the manner of Google congestion control (draft-ietf-rmcat-gcc-02) with libwebrtc's trendline filter. Times
are microseconds of one monotonic clock, rates bit/s. Pure: nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rtc.congestion.loss import LOW, LossLimit
from rtc.congestion.observer import FIRST_RTT, MAX_RTT, PathObserver
from rtc.congestion.probes import ENOUGH, Probe, Probes
from rtc.congestion.queue import SEVERE, QueueWatch
from rtc.congestion.rate_control import RateControl, State
from rtc.fanout import SentPacket
from rtc.observation import FEEDBACKS_PER_SECOND, NEVER, Attention, Observation, Usage
from rtc.transport_feedback import TransportFeedback

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
#: What a probe showed counts if it is more than the target by this factor: the probe of a path that is full
#: leaves a queue, and the last few percent are found by the ordinary rise without one.
WORTHWHILE: Final = 1.1
#: Microseconds of queue below which a slope is a burst, which a picture makes on every thin path, and no
#: reason to lower the rate. Higher leaves longer queues, lower lowers the rate of a path that is not full.
NO_QUEUE: Final = 5_000
#: Microseconds after which feedback is looked at while a path is calm, unless somebody looks before. Longer
#: costs less and lets the rate rise later; nothing that harms has to wait for it (Attention).
CALM: Final = 2_000_000
#: Microseconds of queue up to which it is; lower looks more often at paths that are well. It is told in steps
#: of ALARM_STEP, a power of two, so that not every new value of the base is.
CALM_DELAY: Final = 20_000
ALARM_STEP: Final = 4096
#: Microseconds of queue above which nothing is probed: the path is full, as everybody can see.
PROBED: Final = 40_000
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
        self._observer: PathObserver | None = None  # of one who brings feedback as it came
        self._queue = QueueWatch()
        self._seen: Observation | None = None  # the last one
        self._through: int | None = None  # bit/s that came through, as last known
        self._loss = LossLimit()
        self._probes = Probes()
        self._remb: int | None = None  # where it holds
        self._last_remb = 0
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
        """Takes feedback, with what was sent under the numbers it reports, in order; at most
        FEEDBACKS_PER_SECOND. Where the forwarding plane observes the path, `observed` takes what it saw.
        """
        if not self._allowed(now):
            return
        observer = self._observer = self._observer or PathObserver()
        observer.listen(self.attention(None))
        observer.feedback(report, sent, now)
        self.observed(observer.observe(now), now)

    def observed(self, seen: Observation, now: int) -> None:
        """Takes what feedback told since the last look."""
        if not seen.news:
            return
        self._seen = seen
        self._heard, self._waiting_since = now, None
        self.rtt = seen.round_trip if seen.round_trip is not None else self.rtt
        if seen.shortest is not None and seen.least is not None:
            self._queue.update(seen.shortest, seen.least, now)
        if seen.jumped:
            self._queue.reset()
        usage = seen.usage
        through = self._through = seen.through or self._through
        recent = seen.recent
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
        self._loss.count(seen.lost, seen.received, self._allowed_rate(), recent or 0, now)
        probed = self._probes.received(seen.packets, now)
        if probed is not None and usage is not Usage.OVER and probed > WORTHWHILE * self.target:
            self._loss.passed(probed)
            self._control.probed(max(probed, int(self._control.rate)))
        self._loss.relax(self._control.rate)
        self._set_target(recent)

    def attention(self, wanted: int | None) -> Attention:
        """How closely to listen now where `wanted` bit/s would be used; None: to each feedback."""
        outstanding = self._probes.outstanding
        cluster = outstanding.cluster if outstanding is not None else 0
        calm = wanted is not None and self.calm(wanted)
        alarm = (self._queue.base + CALM_DELAY) & ~(ALARM_STEP - 1) if calm else NEVER
        return Attention(CALM if calm else 0, alarm, cluster, *self._probes.span)

    def calm(self, wanted: int) -> bool:
        """Whether nothing limits a path that is to carry `wanted` bit/s, and nothing is being tried on it."""
        return (
            self._heard is not None
            and self._waiting_since is None
            and not self._probes.climbing
            and not self._queue.draining
            and self._queue.delay < CALM_DELAY
            and self._loss.limit is None
            and self._remb is None
            and self._control.state is not State.DECREASE
            and self.target >= ENOUGH * min(wanted, self._maximum)
        )

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
        over = self._seen is not None and self._seen.usage is Usage.OVER
        if silent or over or self._queue.draining or self._queue.delay > PROBED:
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
        probes, seen = self._probes, self._seen
        return {
            "state": self.state,
            "target": self.target,
            "delay_rate": int(self._control.rate),
            "loss_limit": None if self._loss.limit is None else int(self._loss.limit),
            "remb": self._remb,
            "received": self._through,
            "fraction_lost": self._loss.fraction,
            "rtt": self.rtt,
            "queue": self._queue.delay,
            "usage": seen.usage.value if seen is not None else None,
            "trend": seen.trend if seen is not None else None,
            "threshold": seen.threshold if seen is not None else None,
            "probes_sent": probes.sent,
            "probes_measured": probes.measured,
            "probes_lost": probes.failed,
            "clock_jumps": seen.jumps if seen is not None else 0,
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
