"""What sender and receiver reports are made of (RFC 3550 sections 6.4, A.1, A.3, A.8)."""

from __future__ import annotations

from typing import Final

from rtc.rtcp_reports import ReportBlock, SenderReport

#: Seconds from 1900-01-01 (NTP) to 1970-01-01 (Unix).
NTP_EPOCH: Final = 2_208_988_800

#: Packets a stream may jump ahead and still count as the same one with losses (RFC 3550 A.1).
MAX_DROPOUT: Final = 3000
#: Packets a late one may be behind and still count as late, not as a restart (RFC 3550 A.1).
MAX_MISORDER: Final = 100
#: Seconds. A larger change of transit time is a new source or a pause, not jitter.
MAX_TRANSIT_STEP: Final = 5.0


def to_ntp(wall_clock: float) -> int:
    """Unix seconds as 32.32 fixed point seconds since 1900, modulo 2**64."""
    return int((wall_clock + NTP_EPOCH) * 4294967296) & 0xFFFFFFFFFFFFFFFF


def from_ntp(ntp_time: int) -> float:
    """32.32 fixed point as Unix seconds, 1968 to 2104: the top bit tells the era (RFC 4330 section 3)."""
    era = 0 if ntp_time >> 63 else 1 << 32
    return ntp_time / 4294967296 + era - NTP_EPOCH


def middle_ntp(ntp_time: int) -> int:
    """The middle 32 bits: 16.16 fixed point seconds."""
    return ntp_time >> 16 & 0xFFFFFFFF


def round_trip_time(block: ReportBlock, wall_clock: float) -> float | None:
    """Seconds from here to the reporter and back (RFC 3550 section 6.4.1), None before it heard a report.

    `wall_clock` is when the block arrived, in the clock our sender reports were written with.
    """
    if not block.last_sender_report:
        return None
    ticks = (middle_ntp(to_ntp(wall_clock)) - block.last_sender_report - block.delay_since_last) & 0xFFFFFFFF
    if ticks >= 0x80000000:  # clocks rounded against each other
        return 0.0
    return ticks / 65536


class ReceptionStatistics:
    """Counts one source as it arrives.

    Packets that came as retransmissions do not belong here: loss and jitter are about the path.
    """

    __slots__ = (
        "_base",
        "_clock_rate",
        "_expected_before",
        "_last_report",
        "_last_report_time",
        "_last_time",
        "_last_timestamp",
        "_max",
        "_received_before",
        "_restart",
        "jitter",
        "received_packets",
    )

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate: Final = clock_rate
        self._base = 0
        self._max: int | None = None  # extended sequence number
        self._restart = -1  # the sequence number that would confirm a restart
        self._expected_before = 0
        self._received_before = 0
        self._last_report = 0
        self._last_report_time = 0.0
        self._last_time = 0.0
        self._last_timestamp = 0
        #: Packets received since the source (re)started, duplicates included.
        self.received_packets = 0
        #: Interarrival jitter in timestamp ticks (RFC 3550 A.8).
        self.jitter = 0.0

    @property
    def jitter_seconds(self) -> float:
        """The same in seconds."""
        return self.jitter / self._clock_rate

    @property
    def expected_packets(self) -> int:
        """Packets sent as far as their numbers tell."""
        return 0 if self._max is None else self._max - self._base + 1

    @property
    def lost_packets(self) -> int:
        """Expected minus received; negative when there were more duplicates than losses."""
        return self.expected_packets - self.received_packets

    def received(self, packet_seq: int, timestamp: int, now: float) -> None:
        """Counts a packet: its sequence number, RTP timestamp, and monotonic seconds of arrival."""
        highest = self._max
        if highest is None:
            self._start(packet_seq)
        else:
            ahead = (packet_seq - highest) & 0xFFFF
            if ahead < MAX_DROPOUT:
                self._max = highest + ahead
            elif ahead <= 0x10000 - MAX_MISORDER:
                if packet_seq != self._restart:
                    self._restart = (packet_seq + 1) & 0xFFFF
                    return
                self._start(packet_seq)  # two in a row: the source did restart
        if self.received_packets:
            self._measure_jitter(timestamp, now)
        self.received_packets += 1
        self._last_time = now
        self._last_timestamp = timestamp

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        step = (timestamp - self._last_timestamp) & 0xFFFFFFFF
        if step >= 0x80000000:
            step -= 0x100000000
        transit = abs((now - self._last_time) * self._clock_rate - step)
        if transit < MAX_TRANSIT_STEP * self._clock_rate:
            self.jitter += (transit - self.jitter) / 16

    def _start(self, packet_seq: int) -> None:
        self._base = self._max = packet_seq
        self._restart = -1
        self._expected_before = self._received_before = 0
        self.received_packets = 0

    def sender_report(self, report: SenderReport, now: float) -> None:
        """Notes the source's report, to be named in our next block."""
        self._last_report = middle_ntp(report.ntp_time)
        self._last_report_time = now

    def report_block(self, ssrc: int, now: float) -> ReportBlock | None:
        """The block for this source since the previous one; None before the first packet."""
        if self._max is None:
            return None
        expected = self.expected_packets
        interval = expected - self._expected_before
        lost = interval - (self.received_packets - self._received_before)
        self._expected_before = expected
        self._received_before = self.received_packets
        fraction = min(255, lost * 256 // interval) if interval > 0 and lost > 0 else 0
        total = min(max(expected - self.received_packets, -0x800000), 0x7FFFFF)
        delay = 0
        if self._last_report:
            delay = min(max(int((now - self._last_report_time) * 65536), 0), 0xFFFFFFFF)
        return ReportBlock(
            ssrc, fraction, total, self._max & 0xFFFFFFFF, int(self.jitter), self._last_report, delay
        )


class SendStatistics:
    """Counts one source as it leaves, for its sender reports."""

    __slots__ = ("_clock_rate", "_time", "_timestamp", "octets", "packets")

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate: Final = clock_rate
        self._time = 0.0
        self._timestamp = 0
        #: Packets, and bytes of payload, sent so far.
        self.packets = 0
        self.octets = 0

    def sent(self, size: int, timestamp: int, now: float) -> None:
        """Counts a packet of `size` bytes of payload."""
        self.packets += 1
        self.octets += size
        self._timestamp = timestamp
        self._time = now

    def sender_report(self, ssrc: int, now: float, wall_clock: float) -> SenderReport | None:
        """The report for `now` (monotonic) = `wall_clock` (Unix seconds); None before the first packet.

        Its RTP timestamp is the one a packet sampled now would bear.
        """
        if not self.packets:
            return None
        timestamp = self._timestamp + round((now - self._time) * self._clock_rate)
        return SenderReport(
            ssrc,
            to_ntp(wall_clock),
            timestamp & 0xFFFFFFFF,
            self.packets & 0xFFFFFFFF,
            self.octets & 0xFFFFFFFF,
        )
