"""What bandwidth estimation costs: microseconds of Python per packet, `python -m bench.congestion_cost`.

One receiver of 600 packets a second with feedback each 100 ms, of which 1 % is lost; parsing, the estimator
and recording the arrivals are timed one by one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from rtc.congestion import SendSideEstimator
from rtc.fanout import SentPacket
from rtc.rtcp import TransportFeedback, parse_compound
from rtc.transport_feedback import FeedbackRecorder

PACKETS = 600
SECONDS = 100


def arrivals(seed: int = 1) -> tuple[list[SentPacket], list[list[tuple[int, int]]]]:
    """What was sent, and what arrived in each tenth of a second."""
    rng = random.Random(seed)
    sent: list[SentPacket] = []
    batches: list[list[tuple[int, int]]] = []
    now = 1_000_000
    for _ in range(SECONDS * 10):
        batch = []
        for _ in range(PACKETS // 10):
            now += 1_000_000 // PACKETS
            sent.append(SentPacket(now // 2_000 * 2_000, 1200, 0))
            if rng.random() > 0.01:
                batch.append((len(sent) - 1 & 0xFFFF, now + 25_000 + rng.randrange(2_000)))
        batches.append(batch)
    return sent, batches


def timed(work: Callable[[], None]) -> float:
    """Microseconds a packet."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1e6 / (PACKETS * SECONDS)


def main() -> None:
    sent, batches = arrivals()
    recorder = FeedbackRecorder(1)
    datagrams: list[tuple[int, bytes]] = []
    reports: list[tuple[int, TransportFeedback]] = []

    def record() -> None:
        for batch in batches:
            recorder.arrived(batch)
            now = batch[-1][1] + 1
            datagrams.extend((now, report.serialize()) for report in recorder.build(1, now))

    def parse() -> None:
        for now, data in datagrams:
            for packet in parse_compound(data):
                assert isinstance(packet, TransportFeedback)
                reports.append((now, packet))

    def estimate() -> None:
        first = 0
        for now, report in reports:
            count = len(report.arrivals)
            estimator.sent(now)
            estimator.feedback(report, sent[first : first + count], now)
            estimator.tick(now)
            first += count

    estimator = SendSideEstimator(start=6_000_000)
    for name, work in (("record and serialise", record), ("parse", parse), ("estimate", estimate)):
        print(f"{name:22} {timed(work):6.3f} us a packet")
    print(f"{'datagrams of feedback':22} {len(datagrams)}, target {estimator.target} bit/s")


if __name__ == "__main__":
    main()
