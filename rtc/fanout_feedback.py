"""Transport-wide feedback in the Python twin of the forwarding plane: taken in, and who is to look at it."""

from __future__ import annotations

from typing import Final

from rtc.fanout import BATCH
from rtc.fanout_peer import Peer
from rtc.transport_feedback import TransportFeedback, feedback_only


class Feedback:
    """Of all peers of a plane, whose `counters` it counts in."""

    def __init__(self, counters: dict[str, int]) -> None:
        self._counters: Final = counters
        self._heard: dict[int, None] = {}  # peers whose feedback is to be looked at

    def take(self, peer: Peer, data: bytes, now: int) -> bool:
        """Whether the datagram of RTCP was feedback alone, and so is done with. Raises PacketError where it
        lies; then nothing of it counts."""
        reports = feedback_only(data)
        for report in reports:
            self._observe(peer, report, now)
        return bool(reports)

    def heard(self) -> list[int]:
        """Peers that are to be looked at, each once; at most BATCH."""
        found = list(self._heard)[:BATCH]
        for peer in found:
            del self._heard[peer]
        return found

    def forget(self, peer: int) -> None:
        """It is closed."""
        self._heard.pop(peer, None)

    def _observe(self, peer: Peer, report: TransportFeedback, now: int) -> None:
        if not peer.feedbacks.take(now):
            self._counters["feedback-flood"] += 1
            return
        self._counters["feedback"] += 1
        first = report.base_sequence
        sent = [peer.sent((first + index) & 0xFFFF) for index in range(len(report.arrivals))]
        if peer.observer.feedback(report, sent, now):
            self._heard[peer.handle] = None
