"""An encrypted call through a forwarding plane, with libsrtp as the other end of both paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rtc.fanout import (
    FORWARD,
    Codec,
    DestinationPlan,
    ExtensionIds,
    Fanout,
    MasterKey,
    Profile,
    Record,
    StreamPlan,
)
from rtc.fanout_open import native_reason, open_fanout
from rtc.fanout_twin import PythonFanout
from rtc.rtp import RtpPacket
from rtc.srtp_session import SrtpSession
from tests.rtc.fanout_call import vp8

MakePlane = Callable[[], Fanout]


def native() -> Fanout:
    return open_fanout("native")


#: The twin, and the kernel where it is built: tests/rtc/test_fanout_built.py holds it to be where it can be.
PLANES: list[MakePlane] = [PythonFanout] if native_reason() else [PythonFanout, native]
each_plane = pytest.mark.parametrize("make", PLANES, ids=lambda make: make.__name__)
each_profile = pytest.mark.parametrize("profile", list(Profile), ids=lambda profile: profile.name)

SSRC, OUT_SSRC = 9, 70


def master_key(profile: Profile, fill: int) -> MasterKey:
    return MasterKey(bytes((fill,)) * profile.key_bytes, bytes((fill + 1,)) * profile.salt_bytes)


class SealedCall:
    """The sender is at b"A", the receiver at b"B" unless `address` says otherwise; its sound is forwarded.

    `sender` seals and `receiver` opens as a browser at the other end would.
    """

    def __init__(
        self, make: MakePlane, profile: Profile = Profile.AES_128_GCM, address: bytes = b"B"
    ) -> None:
        self.plane, self.profile, self.now = make(), profile, 1_000_000
        keys = [master_key(profile, fill) for fill in (1, 51, 101, 151)]
        self.source, self.sink = self.plane.open_peer(), self.plane.open_peer()
        self.plane.set_keys(self.source, profile, keys[0], keys[1])
        self.plane.set_keys(self.sink, profile, keys[2], keys[3])
        self.plane.route(b"A", self.source)
        self.plane.route(b"B", self.sink)
        self.plane.set_address(self.source, b"A")
        self.plane.set_address(self.sink, address)
        self.plane.set_extensions(self.source, ExtensionIds(level=1))
        self.plane.set_extensions(self.sink, ExtensionIds(level=2, transport_wide=3))
        self.sender = SrtpSession(profile, keys[0], inbound=False)
        self.back = SrtpSession(profile, keys[1], inbound=True)
        self.receiver = SrtpSession(profile, keys[3], inbound=True)
        self.stream = self.open_stream(SSRC)
        self.destination = self.plane.open_destination(
            self.sink, DestinationPlan(OUT_SSRC, 0, 48000, False, {Codec.OPAQUE: (109, 0)})
        )
        self.plane.aim(self.destination, self.stream)

    def open_stream(self, ssrc: int) -> int:
        return self.plane.open_stream(
            self.source, StreamPlan(ssrc, 48000, False, {111: Codec.OPAQUE, 63: Codec.RED})
        )

    def open_picture(self) -> int:
        """A picture under SSRC 5 that goes to the receiver as 77, repaired as 78; the destination."""
        stream = self.plane.open_stream(self.source, StreamPlan(5, 90000, True, {96: Codec.VP8}))
        destination = self.plane.open_destination(
            self.sink, DestinationPlan(77, 78, 90000, True, {Codec.VP8: (100, 101)})
        )
        self.plane.aim(destination, stream)
        return destination

    def picture_comes(self, sequence: int, *, key: bool = False, size: int = 100) -> None:
        """A frame of one packet with `size` bytes more than its head."""
        packet = vp8(sequence, key=key)
        data = self.sender.seal_rtp(replace(packet, payload=packet.payload + bytes(size)).serialize())
        assert data is not None
        assert len(self.comes(data)) == 1

    def seal(self, sequence: int, payload: bytes = b"sound", ssrc: int = SSRC) -> bytes:
        packet = RtpPacket(111, sequence & 0xFFFF, sequence * 960 & 0xFFFFFFFF, ssrc, False, payload)
        data = self.sender.seal_rtp(packet.serialize())
        assert data is not None
        return data

    def comes(self, data: bytes) -> list[Record]:
        """One datagram from the sender comes in and is forwarded."""
        records = list(self.plane.deliver(data, b"A", self.now))
        self.plane.forward(bytes((FORWARD,)) * len(records), self.now)
        return records

    def datagrams(self) -> list[bytes]:
        """What left since, as it is on the wire."""
        self.plane.flush(-1, self.now)
        return [data for _, data in self.plane.take()]

    def packets(self) -> list[RtpPacket]:
        """The same, opened by the receiver's libsrtp."""
        opened = [self.receiver.open_rtp(data) for data in self.datagrams()]
        assert None not in opened
        return [RtpPacket.parse(data) for data in opened if data is not None]
