"""Short bursts faster than the rate in force, to see whether the path would carry more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from rtc.observation import Received

#: The first probe is this many times the rate; those behind one that passed; those after one that did not.
#: Higher finds the capacity in fewer steps; on a narrow path the queue grows by more before anybody knows.
FIRST_FACTOR: Final = 3.0
FACTOR: Final = 2.0
FAILED_FACTOR: Final = 1.5
#: A probe lasts as many microseconds, and has at least as many bytes (six packets). Longer measures better
#: where delays jump, and puts more into the queue of a path that is too narrow.
DURATION: Final = 30_000
#: After a probe that arrived whole, and yet showed nothing, the next ones last twice as long, up to this many
#: times DURATION: a path that gathers packets (Wi-Fi) shows nothing in less time than it gathers. Higher
#: makes longer queues.
MAX_LONGER: Final = 4
MIN_SIZE: Final = 7200
#: Bit/s of a probe at least, if as much is wanted. Lower takes so long for those bytes that media waits
#: behind them; higher shows no more, since a narrow path tells its rate whatever is sent.
MIN_RATE: Final = 450_000
#: No probe goes beyond what is wanted by more than this factor: the rate that it shows is a bit lower.
MARGIN: Final = 1.2
#: Nothing is probed for when this part of what is wanted is there.
ENOUGH: Final = 0.95
#: Microseconds between probes when less than half of what is wanted is there, and when it is more. Lower
#: recovers sooner and costs a narrow path that many more bursts.
FAR_INTERVAL: Final = 2_000_000
NEAR_INTERVAL: Final = 3_000_000
#: Microseconds until the next one behind a probe that did not pass, and yet showed more than there was by the
#: factor PROGRESS: it may have been disturbed. Lower asks a path again that has just become full.
DISTURBED_INTERVAL: Final = 300_000
PROGRESS: Final = 1.3
#: Behind one that passed, as many are repeated so soon that did not: a machine that was busy for a moment
#: looks like a path that is full. More climb past more of that, and each is a burst on a path that is really
#: full.
REPEATS: Final = 3
#: Microseconds after a cut before the next probe: the queue must be empty.
AFTER_CUT: Final = 1_000_000
#: Microseconds (and a round trip) in which a probe has to be acknowledged.
PATIENCE: Final = 600_000
#: Part of a probe's bytes that has to have arrived; packets that are needed for a measurement.
NEEDED: Final = 0.8
NEEDED_PACKETS: Final = 5
#: Packets at the beginning that do not count where those behind them arrive one by one: a path may let some
#: pass at once before its rate is seen. More see through larger buckets and need longer probes.
SKIPPED: Final = 2
#: Microseconds between two arrivals that are one by one, and not gathered.
APART: Final = 1_000
#: What a probe shows is at most this part of the rate that was asked for, however fast some packets went.
MAX_SHOWN: Final = 1.1
#: A probe passed if it arrived at this part of the rate it was sent with; else the path is full, and
#: FULL_PART of the rate of arrival is what can be used.
PASSED: Final = 0.9
FULL_PART: Final = 0.95
#: Arriving faster than sent by more than this is no measurement: something held the packets and let them go.
MAX_RATIO: Final = 2.0
#: The next probe follows at once behind one that passed at this part of the rate that was asked for.
GO_ON: Final = 0.7
_MAX_CLUSTER: Final = 0xFFFF


class Probe(NamedTuple):
    """Send `size` bytes more, marked with `cluster` (1..65535), with the path's pace at `rate` bit/s."""

    cluster: int
    size: int
    rate: int


@dataclass(slots=True)
class _Cluster:
    """What is known of the probe under way; all that is sent between its packets counts."""

    probe: Probe
    target: int  # bit/s before it
    until: int  # when it is through, if it is sent at its rate
    packets: int = 0
    own: int = 0  # bytes of the probe's own packets
    size: int = 0
    between: int = 0
    first_size: int = 0
    skipped: int = 0  # bytes up to the packet that arrived at counted_from
    counted_from: int = 0
    apart: int = 0  # packets behind it that arrived one by one
    last_size: int = 0
    first_sent: int = 0
    last_sent: int = 0
    first_arrived: int = 0
    last_arrived: int = 0

    def add(self, packets: Iterable[Received]) -> None:
        mine = self.probe.cluster
        for sent, arrived, size, cluster in packets:
            if not self.packets and cluster != mine:
                continue
            self.between += size
            if cluster != mine:
                continue
            if not self.packets:
                self.first_sent, self.first_arrived, self.first_size = sent, arrived, size
            self.packets += 1
            self.own += size
            self.size += self.between
            self.between = 0
            if self.packets <= SKIPPED + 1:
                self.counted_from, self.skipped = arrived, self.size
            elif arrived - self.last_arrived > APART:
                self.apart += 1
            self.last_sent, self.last_size = sent, size
            self.last_arrived = max(self.last_arrived, arrived)

    @property
    def arrived(self) -> bool:
        """Whether enough of it did."""
        return self.packets >= NEEDED_PACKETS and self.own >= NEEDED * self.probe.size

    def result(self) -> tuple[int, bool] | None:
        """Bit/s that the probe showed, and whether it passed; None as long as too little of it arrived, or
        its times make no sense.
        """
        if not self.arrived:
            return None
        sending, arriving = self.last_sent - self.first_sent, self.last_arrived - self.first_arrived
        if sending <= 0 or arriving <= 0:
            return None
        sent = (self.size - self.last_size) * 8_000_000 // sending
        came = (self.size - self.first_size) * 8_000_000 // arriving
        counted = self.last_arrived - self.counted_from
        if counted > 0 and 2 * self.apart > self.packets - SKIPPED - 1:
            came = min(came, (self.size - self.skipped) * 8_000_000 // counted)
        if came > MAX_RATIO * sent:
            return None
        if came < PASSED * min(sent, self.probe.rate):
            return int(came * FULL_PART), False
        return min(sent, came, int(self.probe.rate * MAX_SHOWN)), True


class Probes:
    """Says when to probe, and what came out. One probe at a time."""

    def __init__(self) -> None:
        self._cluster: _Cluster | None = None
        self._number = 0
        self._next = 0
        self._span = (0, -1)  # of sending the last probe
        self._factor = FIRST_FACTOR
        self._longer = 1
        self._repeats = 0  # that are left
        self._following = False  # one is to follow soon
        self.sent = self.measured = self.failed = 0

    @property
    def outstanding(self) -> Probe | None:
        return self._cluster.probe if self._cluster is not None else None

    @property
    def climbing(self) -> bool:
        """Whether one is under way, or follows at once: soon more is known."""
        return self._cluster is not None or self._following

    def sending_rate(self, now: int) -> int | None:
        """Bit/s while a probe is being sent."""
        cluster = self._cluster
        return cluster.probe.rate if cluster is not None and now < cluster.until else None

    @property
    def span(self) -> tuple[int, int]:
        """What was sent within was sent along with the last probe: its delay is the probe's doing."""
        return self._span

    def cut(self, now: int) -> None:
        """The rate was lowered: a probe would make it worse."""
        self._following, self._repeats = False, 0
        self._next = max(self._next, now + AFTER_CUT)

    def start(self, target: int, wanted: int, maximum: int, now: int) -> Probe | None:
        """The probe to send now, if any: `wanted` bit/s would be used if they were there."""
        wanted = min(wanted, maximum)
        if target >= ENOUGH * wanted:
            self._following = False
            return None
        if self._cluster is not None or now < self._next:
            return None
        rate = int(min(max(target * self._factor, MIN_RATE), wanted * MARGIN))
        size = max(MIN_SIZE, rate * DURATION * self._longer // 8_000_000)
        self._number = self._number % _MAX_CLUSTER + 1
        probe = Probe(self._number, size, rate)
        self._factor = FAILED_FACTOR  # unless it passes
        self._next = now + (FAR_INTERVAL if target < wanted / 2 else NEAR_INTERVAL)
        self._cluster = _Cluster(probe, target, now + size * 8_000_000 // rate + DURATION)
        self._span = now, self._cluster.until
        self.sent += 1
        return probe

    def received(self, packets: Iterable[Received], now: int) -> int | None:
        """What a feedback told; gives the rate in bit/s that the probe showed, once."""
        cluster = self._cluster
        if cluster is None:
            return None
        cluster.add(packets)
        result = cluster.result()
        if result is None:
            return None
        self._cluster = None
        self.measured += 1
        rate, passed = result
        self._following = True
        if passed and rate >= GO_ON * cluster.probe.rate:
            self._next, self._factor, self._repeats = now, FACTOR, REPEATS
        elif rate > PROGRESS * cluster.target or self._repeats:
            self._next = min(self._next, now + DISTURBED_INTERVAL)
            self._repeats = max(self._repeats - 1, 0)
        else:
            self._following = False
        return rate

    def unsent(self, now: int) -> None:
        """The probe that was begun could not be sent: as if it had not been."""
        self._cluster, self._next, self._following = None, now, False
        self.sent -= 1

    def expire(self, rtt: int, now: int) -> None:
        """Gives up a probe that nobody acknowledged."""
        cluster = self._cluster
        if cluster is not None and now > cluster.until + rtt + PATIENCE:
            self._cluster, self._following = None, self._repeats > 0
            if cluster.arrived:
                self._longer = min(2 * self._longer, MAX_LONGER)
            if self._repeats:
                self._next = min(self._next, now + DISTURBED_INTERVAL)
                self._repeats -= 1
            self.failed += 1
