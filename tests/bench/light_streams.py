"""Streams as light members send them, in virtual time, and what an observer finds in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Literal

from bench.loadbot.delays import Delays
from bench.loadbot.formats import LEVEL_ID, MID_ID, REPAIRED_ID, RID_ID, WIDE_ID
from bench.loadbot.frames import DEPENDENCY_ID
from bench.loadbot.observer import StreamObserver
from bench.loadbot.outgoing import Outgoing, Wide
from bench.loadbot.scenarios import Camera, Encoding
from bench.loadbot.sending import Encoder, Microphone
from rtc import dependency_descriptor
from rtc.fanout import Codec, ExtensionIds, Flag, Kind
from rtc.packet_reader import Packet, read_header, read_payload

IDS = ExtensionIds(MID_ID, RID_ID, REPAIRED_ID, LEVEL_ID, 0, WIDE_ID, DEPENDENCY_ID)
#: Pictures of four packets; their layers, where there are three.
ONE = Encoding(1_100_000, 30.0, 360)
THREE = (Encoding(150_000, 30.0, 180), Encoding(500_000, 30.0, 360), ONE)
#: Seconds from sending to arrival.
DELAY = 0.01
CODECS = {"VP8": Codec.VP8, "VP9": Codec.VP9, "AV1": Codec.AV1}


class Film:
    """One encoder in virtual time."""

    def __init__(
        self,
        camera: Camera | None = None,
        *,
        layer: int = 0,
        encodings: tuple[Encoding, ...] = (ONE,),
        sender: int = 7,
        start: float = 100.0,
    ) -> None:
        self.camera = camera or Camera(encodings)
        self.out = Outgoing("1", "load-7", 90000, Wide(agreed=True), repairs=True)
        self.encoder = Encoder(sender, self.camera, layer, encodings, self.out)
        self.now = start

    def picture(self, *, key: bool = False) -> list[bytes]:
        self.encoder.key_wanted |= key
        packets = self.encoder.picture(self.now, self.now)
        self.now += self.encoder.interval
        return packets

    def pictures(self, count: int) -> list[list[bytes]]:
        """The first of all is a key frame."""
        return [self.picture() for _ in range(count)]


def voice(count: int, *, sender: int = 7, red: bool = False, start: float = 100.0) -> list[bytes]:
    """Packets of sound."""
    microphone = Microphone(sender, Outgoing("0", "load-7", 48000, Wide()), red=red)
    return [microphone.packet(start + n * 0.02, start + n * 0.02, 20) for n in range(count)]


def flat(pictures: Iterable[Iterable[bytes]]) -> list[bytes]:
    return [packet for picture in pictures for packet in picture]


def renumbered(packets: Iterable[bytes], first: int = 65530) -> list[bytes]:
    """The same with sequence numbers that go on by one each, and wrap: what was left out does not show."""
    return [
        packet[:2] + ((first + place) & 0xFFFF).to_bytes(2, "big") + packet[4:]
        for place, packet in enumerate(packets)
    ]


def later(packet: bytes, ticks: int) -> bytes:
    """The same with another timestamp."""
    timestamp = (int.from_bytes(packet[4:8], "big") + ticks) & 0xFFFFFFFF
    return packet[:4] + timestamp.to_bytes(4, "big") + packet[8:]


def reading(data: bytes) -> Callable[[int], bytes]:
    """Reads the one packet."""
    return lambda index: data


class Watch:
    """An observer and the reader before it, as the forwarding plane is."""

    def __init__(
        self,
        kind: Literal["audio", "video"] = "video",
        codec: str = "VP8",
        senders: frozenset[int] | None = frozenset((7,)),
    ) -> None:
        self.observer = StreamObserver(kind, Delays(), senders)
        self._codec = CODECS[codec] if kind == "video" else Codec.OPAQUE
        self._structure: dependency_descriptor.Structure | None = None
        self.now = 100.0 + DELAY

    def feed(self, packets: Iterable[bytes], *, step: float = 0.0, repaired: bool = False) -> Watch:
        """Each packet arrives `step` seconds after the one before."""
        for data in packets:
            packet = Packet(Kind.RTP, data, b"", 0)
            packet.codec = self._codec
            read_header(packet, IDS)
            if packet.descriptor_value:
                packet.descriptor = dependency_descriptor.read(packet.descriptor_value, self._structure, 511)
                self._structure = packet.descriptor.structure
            read_payload(packet)
            flags = packet.flags | (int(Flag.REPAIRED) if repaired else 0)
            self.observer.take(packet.sequence, packet.timestamp, flags, 0, reading(data), self.now)
            self.now += step
        return self

    def tick(self, after: float = 0.0) -> tuple[list[int], bool]:
        self.now += after
        return self.observer.tick(self.now)

    @property
    def found(self) -> dict[str, int]:
        """What is not 0, without what depends on the times at which the test fed."""
        counts = asdict(self.observer.findings)
        return {
            name: value
            for name, value in counts.items()
            if value and name not in ("longest_gap_ms", "streams")
        }
