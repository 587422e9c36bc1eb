"""Drives the kernel's readers with samples that are changed at random.

`python -m tests.rtc.fanout_fuzz COUNT SEED [--sanitized] [READER ...]`: that many for each reader, or for
those named. The last line before a crash names the reader, and the seed by which it comes again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from random import Random

from rtc import _fanout
from rtc.errors import PacketError
from rtc.fanout import MAX_DATAGRAM, Codec, StreamPlan
from rtc.rtp import RtpPacket
from rtc.transport_feedback import TransportFeedback
from tests.rtc import sanitized
from tests.rtc.fanout_changes import ALL_IDS
from tests.rtc.fanout_sources import RTX_TYPES, TYPES, Source

#: In the order of the kernel's (rtc/_fanout/fuzz.c).
PARSERS = ("rtp", "vp8", "h264", "vp9", "av1", "dependency", "red", "feedback", "srtp", "srtcp", "call")
#: What only a build with sanitizers notices, to see that it does.
BROKEN = ("too-far", "overflow")
#: Changes between two lines of the log; fewer find the seed of a crash sooner again, more are faster.
ROUND = 250_000


def packets(random: Random) -> list[bytes]:
    """Of every codec, with and without extensions, padding, retransmissions."""
    found: list[bytes] = []
    for payload_type, codec in TYPES.items():
        for _ in range(4):
            video = codec not in (Codec.OPAQUE, Codec.RED)
            plan = StreamPlan(5, 90000, video, TYPES, RTX_TYPES if video else {}, 6 if video else 0)
            source = Source(random, plan, payload_type)
            source.ids = ALL_IDS
            for _ in range(12):
                found += source.packets()
            if video:
                found += [source.retransmission() for _ in range(6)]
    return found


def reports(random: Random) -> Iterable[bytes]:
    """RTCP as far as the kernel reads it: a header, an SSRC and anything."""
    for kind in (200, 201, 202, 203, 205, 206):
        for size in (0, 4, 20, 100, 1400):
            yield bytes((0x80 | random.randrange(32), kind)) + random.randbytes(6 + size)


def feedback(random: Random) -> Iterable[bytes]:
    """Of all shapes: whole, with losses, with small and large deltas, several in a datagram."""
    for n in range(60):
        data = b""
        for _ in range(random.choice((1, 1, 2))):
            time, arrivals = 0, []
            for _ in range(random.choice((1, 7, 14, 60, 300))):
                time += random.choice((0, 1, 4, 200, 3000)) if n % 3 else 4
                arrivals.append(None if n % 2 and random.random() < 0.2 else time)
            arrivals[-1] = time
            data += TransportFeedback(
                1, 2, random.randrange(2000), random.randrange(400), n, tuple(arrivals)
            ).serialize()
        yield data[:MAX_DATAGRAM]


def samples(seed: int) -> dict[str, list[bytes]]:
    """For each reader."""
    random = Random(seed)
    whole = packets(random)
    payloads: dict[int, list[bytes]] = {codec: [] for codec in Codec}
    descriptors: list[bytes] = []
    for data in whole:
        try:
            packet = RtpPacket.parse(data)
        except PacketError:
            continue
        codec = TYPES.get(packet.payload_type)
        if codec is not None and packet.payload:
            payloads[codec].append(packet.payload[:200])
        if packet.extensions.get(ALL_IDS.dependency):
            descriptors.append(packet.extensions[ALL_IDS.dependency])
    by_name = {name: payloads[Codec[name.upper()]] for name in ("vp8", "h264", "vp9", "av1", "red")}
    return {
        "rtp": [data[:300] for data in whole],
        **by_name,
        "dependency": descriptors,
        "feedback": list(feedback(random)),
        "srtp": whole,
        "srtcp": list(reports(random)),
        "call": whole,
    }


def fuzz(name: str, count: int, seed: int) -> int:
    """Of so many changed samples, how many the reader took for good; says where it is, for crashes."""
    known, taken, done = samples(seed)[name], 0, 0
    while done < count:
        part = min(ROUND, count - done)
        print(f"{name}: {part} with seed {seed}", file=sys.stderr, flush=True)
        taken += _fanout.fuzz(PARSERS.index(name), known, part, seed)
        done, seed = done + part, seed + 1
    return taken


def main() -> int:
    """See the module."""
    arguments = [one for one in sys.argv[1:] if one != "--sanitized"]
    if len(arguments) < len(sys.argv) - 1:
        done = sanitized.run("tests.rtc.fanout_fuzz", *arguments)
        print(done.stdout, done.stderr if done.returncode else "", sep="", end="")
        return done.returncode
    count, seed = int(arguments[0]), int(arguments[1])
    for name in arguments[2:] or PARSERS:
        began = time.monotonic()
        if name in BROKEN:
            _fanout.fuzz(len(PARSERS) + BROKEN.index(name), [bytes(16)], count, seed)
            continue
        taken = fuzz(name, count, seed)
        print(f"{name}: {count} changed samples, {taken} taken, {time.monotonic() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
