"""How much may be sent: delay, loss, acknowledged rate and probes put together (draft-ietf-rmcat-gcc-02).

Pure: microseconds, bit/s. docs/bandwidth-estimation.md tells the rules and what each constant trades.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from rtc.congestion.probing import Probe, Prober
from rtc.congestion.trendline import Trendline, Usage
from rtc.fanout import SentPacket
from rtc.transport_feedback import REFERENCE_US, REFERENCE_WRAP, TransportFeedback

#: What is left of the acknowledged rate after an overuse. Higher empties the queue more slowly.
BETA: Final = 0.85
#: Growth a second while the path is not full, and bit/s a second near where it was full before.
GROWTH: Final = 1.08
NEAR_GROWTH: Final = 60_000.0
#: Near is within this part of the rate at which the path was full last.
_NEAR: Final = 0.15
#: The estimate may be this much above what is acknowledged, without a probe. Higher trusts untested rates.
HEADROOM: Final = 1.5
_HEADROOM_BITS: Final = 20_000
#: Microseconds over which the acknowledged rate is measured. Longer is smoother and later.
ACKNOWLEDGED_US: Final = 500_000
#: Loss below the first is nothing, above the second is congestion (parts of 1); between them growth is slow.
LOW_LOSS, HIGH_LOSS = 0.02, 0.10
#: Microseconds and packets over which loss is counted at least.
_LOSS_US, _LOSS_PACKETS = 200_000, 20
#: Microseconds without feedback, though packets leave, after which the estimate is halved; again each time.
SILENCE_US: Final = 1_000_000
#: How much faster than the estimate packets leave. Higher delays bursts less and makes longer queues.
PACING: Final = 2.5


class SendSideEstimator:
    """`feedback` for each feedback, `tick` now and then; read `target` (bit/s), `pacing_rate` (bytes/s)."""

    def __init__(self, start: int = 1_000_000, minimum: int = 50_000, maximum: int = 30_000_000) -> None:
        self._minimum, self._maximum = float(minimum), float(maximum)
        self._estimate = float(start)
        self._trend = Trendline()
        self._prober = Prober()
        self._probing: Probe | None = None
        self._probing_until = 0
        self._acknowledged: deque[tuple[int, int]] = deque()  # (arrival, bytes)
        self._acknowledged_bytes = 0
        self._full_at: float | None = None  # acknowledged rate when the path was full
        self._changed: int | None = None
        self._decreased = 0
        self._lost = self._counted = 0
        self._loss_since = 0
        self._loss = 0.0
        self._heard: int | None = None
        self._last_sent = 0
        self._remb = float(maximum)
        self._remb_at = 0
        self._reference: int | None = None  # unwrapped, steps of 64 ms
        self.rtt: int | None = None  # microseconds, the least of late

    @property
    def target(self) -> int:
        """bit/s."""
        return int(min(max(self._estimate, self._minimum), self._maximum, self._remb))

    @property
    def pacing_rate(self) -> int:
        """Bytes a second at which packets may leave; more while a probe does."""
        rate = self.target * PACING
        if self._probing is not None:
            rate = max(rate, float(self._probing.rate))
        return int(rate / 8)

    def feedback(self, packet: TransportFeedback, sent: Sequence[SentPacket | None], now: int) -> None:
        """`sent` belongs to the packets that the feedback speaks of, in its order."""
        base = self._unwrap(packet.reference) * REFERENCE_US
        self._heard = now
        newest = 0
        for info, arrival in zip(sent, packet.arrivals, strict=False):
            if info is None:
                continue
            self._counted += 1
            if arrival is None:
                self._lost += 1
                continue
            at = base + arrival
            newest = max(newest, info.time)
            self._trend.packet(info.time, at)
            self._acknowledge(at, info.size)
            if info.cluster:
                result = self._prober.packet(info.cluster, info.time, at, info.size, now)
                if result is not None:
                    self._probed(result, now)
        if newest:
            self._last_sent = max(self._last_sent, newest)
            self._note_rtt(now - newest)
        self._react(now)

    def receiver_report(self, fraction_lost: float, rtt: int | None, now: int) -> None:
        """Of peers that do not feed back: the part of packets lost, and the round trip in microseconds."""
        self._loss = fraction_lost
        if rtt is not None:
            self._note_rtt(rtt)
        if fraction_lost > HIGH_LOSS:
            self._set(self._estimate * (1 - 0.5 * fraction_lost), now)
        elif fraction_lost < LOW_LOSS:
            self._grow(now, GROWTH)

    def remb(self, bitrate: int, now: int) -> None:
        """What an old peer believes it can take; it holds until the next one."""
        self._remb, self._remb_at = float(max(bitrate, 0)), now
        self._estimate = max(self._estimate, min(self._remb, self._maximum))

    def tick(self, now: int) -> None:
        """Without feedback the rate goes down step by step: what nobody acknowledges may not arrive."""
        if self._heard is not None and now - self._heard > SILENCE_US:
            self._heard = now
            self._set(self._estimate / 2, now)
        if self._probing is not None and now >= self._probing_until:
            self._probing = None

    def probe(self, now: int, wanted: int) -> Probe | None:
        """The probe to send now, if more than the estimate is `wanted` (bit/s). Send it at `pacing_rate`."""
        if self._trend.usage is not Usage.NORMAL or self._loss > HIGH_LOSS:
            self._prober.wait(now)
            return None
        probe = self._prober.due(self._estimate, wanted, min(self._maximum, self._remb), now)
        if probe is not None:
            self._probing = probe
            self._probing_until = now + probe.size * 8_000_000 // probe.rate + 20_000
        return probe

    def dump(self) -> dict[str, object]:
        return {
            "target": self.target,
            "acknowledged": round(self._acknowledged_rate() or 0),
            "usage": self._trend.usage.value,
            "loss": round(self._loss, 3),
            "rtt_us": self.rtt,
        }

    # Inside.

    def _unwrap(self, reference: int) -> int:
        before = self._reference
        if before is None:
            self._reference = reference
            return reference
        ahead = (reference - before) % REFERENCE_WRAP
        whole = before + (ahead if ahead < REFERENCE_WRAP // 2 else ahead - REFERENCE_WRAP)
        self._reference = max(whole, before)
        return whole

    def _acknowledge(self, at: int, size: int) -> None:
        window = self._acknowledged
        window.append((at, size))
        self._acknowledged_bytes += size
        while window[0][0] < at - ACKNOWLEDGED_US or len(window) > 8192:
            self._acknowledged_bytes -= window.popleft()[1]

    def _acknowledged_rate(self) -> float | None:
        """bit/s over the window; None before there is enough of it."""
        window = self._acknowledged
        if len(window) < 5:
            return None
        span = max(window[-1][0] - window[0][0], 50_000)
        return (self._acknowledged_bytes - window[0][1]) * 8e6 / span

    def _note_rtt(self, rtt: int) -> None:
        if rtt >= 0:
            self.rtt = rtt if self.rtt is None else min(rtt, self.rtt + (rtt - self.rtt) // 8)

    def _react(self, now: int) -> None:
        self._count_loss(now)
        usage = self._trend.usage
        acknowledged = self._acknowledged_rate()
        if usage is Usage.OVER:
            self._overused(acknowledged, now)
        elif usage is Usage.NORMAL and self._loss <= HIGH_LOSS:
            full_at = self._full_at
            near = full_at is not None and abs(self._estimate / full_at - 1) < _NEAR
            if full_at is not None and (acknowledged or 0.0) > full_at * (1 + _NEAR):
                self._full_at = None  # the path has grown
            if self._loss > LOW_LOSS:
                self._grow(now, 1 + (GROWTH - 1) / 2)
            elif near:
                self._grow(now, 1.0, NEAR_GROWTH)
            else:
                self._grow(now, GROWTH)
        self._changed = now

    def _overused(self, acknowledged: float | None, now: int) -> None:
        """Once for each round trip: what is in the queue already tells nothing new."""
        if now - self._decreased < max(self.rtt or 0, 100_000):
            return
        self._decreased = now
        measured = acknowledged if acknowledged is not None else self._estimate
        self._full_at = measured if self._full_at is None else 0.5 * self._full_at + 0.5 * measured
        self._prober.wait(now)
        self._set(min(self._estimate, BETA * measured), now)

    def _count_loss(self, now: int) -> None:
        if self._counted < _LOSS_PACKETS or now - self._loss_since < _LOSS_US:
            return
        fresh = self._lost / self._counted
        self._loss = 0.5 * self._loss + 0.5 * fresh
        self._lost = self._counted = 0
        self._loss_since = now
        if self._loss > HIGH_LOSS:
            self._set(self._estimate * (1 - 0.5 * self._loss), now)

    def _grow(self, now: int, factor: float, bits: float = 0.0) -> None:
        elapsed = min(max(now - (self._changed if self._changed is not None else now), 0), 1_000_000) / 1e6
        self._changed = now
        grown = self._estimate * factor**elapsed + bits * elapsed
        acknowledged = self._acknowledged_rate()
        # What is not used is not tested: without a probe the estimate does not run away from what arrives.
        most = self._estimate if acknowledged is None else acknowledged * HEADROOM + _HEADROOM_BITS
        self._estimate = min(max(min(grown, most), self._estimate), self._maximum)

    def _probed(self, result: float, now: int) -> None:
        if self._trend.usage is Usage.OVER:
            return
        if result > self._estimate:
            self._full_at = None
            self._set(result, now)

    def _set(self, rate: float, now: int) -> None:
        self._estimate = min(max(rate, self._minimum), self._maximum)
        self._changed = now
