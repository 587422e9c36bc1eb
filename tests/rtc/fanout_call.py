"""A small call through the forwarding plane in the clear: one sender, some receivers, virtual time."""

from __future__ import annotations

from rtc.fanout import FORWARD, Codec, DestinationPlan, ExtensionIds, Fanout, Record, StreamPlan
from rtc.fanout_twin import PythonFanout
from rtc.rtp import RtpPacket
from tests.rtc.fanout_sources import VP8_KEY

IDS = ExtensionIds(mid=1, level=2, send_time=3, transport_wide=4, dependency=5)
CODECS = {96: Codec.VP8, 98: Codec.VP9, 45: Codec.AV1, 102: Codec.H264, 111: Codec.OPAQUE, 63: Codec.RED}
TAKES = {
    Codec.VP8: (100, 101),
    Codec.VP9: (102, 103),
    Codec.AV1: (104, 105),
    Codec.H264: (106, 107),
    Codec.OPAQUE: (109, 0),
    Codec.RED: (110, 0),
}


class Call:
    """The sender is at b"A"; each receiver at its own address; `now` in microseconds."""

    def __init__(self, fanout: Fanout | None = None, ids: ExtensionIds = IDS) -> None:
        self.fanout = fanout or PythonFanout(clear=True)
        self.now = 1_000_000
        self.ids = ids
        self.sender = self.fanout.open_peer()
        self.fanout.set_extensions(self.sender, ids)
        self.fanout.route(b"A", self.sender)

    def receiver(self, address: bytes = b"B", ids: ExtensionIds | None = None) -> int:
        peer = self.fanout.open_peer()
        self.fanout.set_extensions(peer, ids or self.ids)
        self.fanout.set_address(peer, address)
        self.fanout.route(address, peer)
        return peer

    def stream(self, ssrc: int = 5, *, video: bool = True, rtx_ssrc: int = 6, group: int = 0) -> int:
        rate, rtx = (90000, rtx_ssrc) if video else (48000, 0)
        return self.fanout.open_stream(
            self.sender, StreamPlan(ssrc, rate, video, CODECS, {97: 96} if video else {}, rtx, group)
        )

    def destination(self, peer: int, ssrc: int = 77, *, video: bool = True, rtx_ssrc: int = 78) -> int:
        rate, rtx = (90000, rtx_ssrc) if video else (48000, 0)
        return self.fanout.open_destination(peer, DestinationPlan(ssrc, rtx, rate, video, TAKES, b"0"))

    def comes(self, packet: RtpPacket) -> Record:
        """One packet comes in and is forwarded."""
        (record,) = self.fanout.deliver(packet.serialize(), b"A", self.now)
        self.fanout.forward(bytes((FORWARD,)), self.now)
        return record

    def out(self) -> list[tuple[bytes, RtpPacket]]:
        """What left since: address and packet."""
        self.fanout.flush(-1, self.now)
        return [(address, RtpPacket.parse(data)) for address, data in self.fanout.take()]

    def packets(self) -> list[RtpPacket]:
        return [packet for _, packet in self.out()]


def vp8(
    sequence: int,
    *,
    key: bool = False,
    ssrc: int = 5,
    timestamp: int | None = None,
    picture: int | None = None,
    temporal: int = 0,
    sync: bool = False,
    marker: bool = True,
    extensions: dict[int, bytes] | None = None,
) -> RtpPacket:
    """A VP8 frame of one packet; picture id and time follow the number unless given."""
    picture = sequence & 0x7FFF if picture is None else picture
    head = bytes((0x90, 0xE0, 0x80 | picture >> 8, picture & 0xFF, 9, temporal << 6 | 0x20 * sync))
    time = sequence * 3000 if timestamp is None else timestamp
    payload = head + (VP8_KEY if key else b"\x11\x02\x00")
    return RtpPacket(96, sequence & 0xFFFF, time & 0xFFFFFFFF, ssrc, marker, payload, (), extensions or {})
