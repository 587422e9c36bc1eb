"""A sender, a path with a bottleneck and a receiver, in virtual time (microseconds)."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rtc.congestion import SendSideEstimator, SentLog
from rtc.rtcp import TransportFeedback, parse_compound
from rtc.transport_feedback import FeedbackRecorder

MS = 1_000
S = 1_000_000
PACKET = 1200
FRAME = 33_333


@dataclass
class Path:
    """What the network does. Rates in bit/s, times in microseconds."""

    capacity: int = 1_000_000
    delay: int = 25 * MS  # one way
    buffer: int = 100_000  # bytes
    loss: float = 0.0  # of the air: before the bottleneck
    jitter: int = 0  # behind it; packets may overtake
    gather: int = 0  # what arrives is held until the clock is at a multiple of this, as Wi-Fi does
    cross: int = 0  # bit/s of others that do not give way


@dataclass
class Sample:
    """One tenth of a second."""

    time: int
    target: int
    received: int  # bit/s
    queue: int  # microseconds, the longest
    sent: int  # bit/s


@dataclass
class Simulation:
    """Sends as much as it may; probes for `wanted` unless it is off; `feedback` can be cut or spoilt."""

    path: Path
    estimator: SendSideEstimator = field(default_factory=SendSideEstimator)
    wanted: int = 10_000_000
    probing: bool = True
    limit: int = 100_000_000  # what the application sends at most
    feedback: Callable[[TransportFeedback], TransportFeedback | None] = lambda report: report
    seed: int = 1

    def __post_init__(self) -> None:
        self.now = S
        self.samples: list[Sample] = []
        self.probes: list[tuple[int, int]] = []  # when, rate
        self._random = random.Random(self.seed)
        self._log = SentLog()
        self._recorder = FeedbackRecorder(1)
        self._pacer: deque[tuple[int, int]] = deque()  # size, cluster
        self._through = 0  # when the pacer is free
        self._next_frame = self.now
        self._free = 0  # when the bottleneck is free
        self._arriving: list[tuple[int, int, int]] = []  # time, number, size
        self._returning: deque[tuple[int, bytes]] = deque()
        self._window = [self.now, 0, 0, 0]  # since, received bytes, longest queue, sent bytes

    def run(self, seconds: float) -> list[Sample]:
        """Lets time pass; gives the samples of it."""
        first, end = len(self.samples), self.now + int(seconds * S)
        while self.now < end:
            self.now += MS
            self._step()
        return self.samples[first:]

    def _step(self) -> None:
        now = self.now
        if now >= self._next_frame:
            self._next_frame += FRAME
            self._frame(min(self.estimator.target, self.limit))
        if now % (10 * MS) == 0:
            self.estimator.tick(now)
            if self.probing and (probe := self.estimator.probe(now, self.wanted)):
                self.probes.append((now, probe.rate))
                for _ in range(-(-probe.size // PACKET)):
                    self._pacer.appendleft((PACKET, probe.cluster))
        self._pace(now)
        self._arrive(now)
        while self._returning and self._returning[0][0] <= now:
            for packet in parse_compound(self._returning.popleft()[1]):
                assert isinstance(packet, TransportFeedback)
                report = self.feedback(packet)
                if report is not None:
                    sent = self._log.sent(report.base_sequence, len(report.arrivals))
                    self.estimator.feedback(report, sent, now)
        self._sample(now)

    def _frame(self, rate: int) -> None:
        size = rate * FRAME // 8_000_000
        waiting = sum(size for size, _ in self._pacer)
        if waiting > 4 * size:
            return  # an encoder would leave the frame out
        while size > 0:
            self._pacer.append((min(size, PACKET), 0))
            size -= PACKET

    def _pace(self, now: int) -> None:
        rate = self.estimator.pacing_rate
        while self._pacer and self._through <= now + 5 * MS:
            size, cluster = self._pacer.popleft()
            self._through = max(self._through, now) + size * S // rate
            self.estimator.sent(now)
            self._send(size, cluster, now)

    def _send(self, size: int, cluster: int, now: int) -> None:
        path = self.path
        number = self._log.add(size, now, cluster)
        self._window[3] += size
        if self._random.random() < path.loss:
            return
        waiting = max(0, self._free - now)
        capacity = max(path.capacity - path.cross, 10_000)
        if waiting * capacity // 8_000_000 + size > path.buffer:
            return
        self._window[2] = max(self._window[2], waiting)
        self._free = max(self._free, now) + size * 8_000_000 // capacity
        jitter = self._random.randrange(path.jitter) if path.jitter else 0
        arrival = self._free + path.delay + jitter
        if path.gather:
            arrival += -arrival % path.gather
        heapq.heappush(self._arriving, (arrival, number, size))

    def _arrive(self, now: int) -> None:
        arrivals = []
        while self._arriving and self._arriving[0][0] <= now:
            time, number, size = heapq.heappop(self._arriving)
            arrivals.append((number, time))
            self._window[1] += size
        self._recorder.arrived(arrivals)
        for report in self._recorder.build(1, now):
            self._returning.append((now + self.path.delay, report.serialize()))

    def _sample(self, now: int) -> None:
        since, received, queue, sent = self._window
        if now - since >= 100 * MS:
            self.samples.append(Sample(now, self.estimator.target, received * 80, queue, sent * 80))
            self._window = [now, 0, 0, 0]


def mean(values: list[int]) -> float:
    return sum(values) / len(values)
