"""A whole call for the router in virtual time: sources make packets, receivers keep what they get."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from rtc import rtcp, vp8
from rtc.fanout import DROP, ExtensionIds, Kind
from rtc.fanout_open import open_fanout
from rtc.header_extensions import encode_audio_level, encode_mid
from rtc.rtcp import RtcpPacket
from rtc.rtp import RtpPacket, is_rtcp
from server_lite.negotiation import ConsumerPlan, LayerPlan, ProducerPlan
from server_lite.router import Router
from tests.rtc.secure_end import SecureEnd
from tests.rtc.strategies import vp8_frame, vp8_packets

_Packet = TypeVar("_Packet", bound=RtcpPacket)

VP8, RTX, OPUS, H264 = 96, 97, 111, 102
MID_ID, LEVEL_ID, WIDE_ID, RID_ID, REPAIRED_RID_ID = 4, 1, 3, 10, 11
IDS = ExtensionIds(mid=MID_ID, level=LEVEL_ID, rid=RID_ID, repaired_rid=REPAIRED_RID_ID)


def video_plan(mid: str, ssrc: int | None, *, rtx_ssrc: int | None = None) -> ProducerPlan:
    return layered_plan(mid, LayerPlan("", ssrc, rtx_ssrc if ssrc is not None else None))


def layered_plan(mid: str, *layers: LayerPlan) -> ProducerPlan:
    return ProducerPlan(
        mid=mid,
        kind="video",
        codecs={VP8: "VP8", H264: "H264"},
        rtx_types={RTX: VP8},
        clock_rate=90000,
        layers=layers,
    )


def sound_plan(mid: str, ssrc: int | None) -> ProducerPlan:
    return ProducerPlan(
        mid=mid,
        kind="audio",
        codecs={OPUS: "OPUS"},
        rtx_types={},
        clock_rate=48000,
        layers=(LayerPlan("", ssrc, None),),
    )


def receiver_plan(mid: str, kind: str, ssrc: int, *, repairs: bool = True) -> ConsumerPlan:
    """Payload types differ from the senders', as they may."""
    video = kind == "video"
    return ConsumerPlan(
        mid=mid,
        kind=kind,
        ssrc=ssrc,
        rtx_ssrc=ssrc + 1 if video and repairs else None,
        codecs={"VP8": 120} if video else {"OPUS": 109},
        rtx_types={120: 121} if video and repairs else {},
        clock_rate=90000 if video else 48000,
    )


class Call:
    """The router over a forwarding plane, the time in seconds, and what everybody received so far."""

    def __init__(self, ids: ExtensionIds = IDS) -> None:
        self.plane = open_fanout()
        self.states: list[tuple[str, dict[str, tuple[str, str]]]] = []
        self.voices: dict[str, dict[str, str | None]] = defaultdict(dict)
        self.router = Router(
            self.plane,
            told=lambda member, states: self.states.append((member, dict(states))),
            told_voices=lambda member, voices: self.voices[member].update(voices),
        )
        self.now = 100.0
        self.rtp: dict[str, list[RtpPacket]] = defaultdict(list)
        self.rtcp: dict[str, list[RtcpPacket]] = defaultdict(list)
        self._ids = ids
        self._peers: dict[str, int] = {}
        self._ends: dict[str, SecureEnd] = {}
        self._ssrc = 1000
        #: Given each datagram to a member as it leaves; True where it is on a way of its own.
        self.through: Callable[[str, bytes, int], bool] | None = None

    @property
    def microseconds(self) -> int:
        return round(self.now * 1e6)

    def enter(self, member: str) -> None:
        """Gives the member a path, unless it has one."""
        if member not in self._peers:
            peer = self._peers[member] = self.plane.open_peer()
            self._ends[member] = SecureEnd(self.plane, peer)
            self.plane.route(member.encode(), peer)
            self.plane.set_address(peer, member.encode())
        if member not in self.router.paths:
            self.router.set_path(member, self._peers[member], self._ids)

    def leave(self, member: str) -> None:
        self.router.remove_member(member)
        peer = self._peers.pop(member, None)
        if peer is not None:
            self.plane.close_peer(peer)

    def take(self) -> None:
        """Delivers what the plane has to send."""
        self.plane.flush(-1, self.microseconds)
        for address, packet in self.plane.take():
            member = address.decode()
            if self.through is not None and self.through(member, packet, self.microseconds):
                continue
            opened = self._ends[member].open(packet)
            if is_rtcp(opened):
                self.rtcp[member] += rtcp.parse_compound(opened)
            else:
                self.rtp[member].append(RtpPacket.parse(opened))

    def open(self, member: str, packet: bytes) -> bytes:
        """Decrypts what `member` was sent."""
        return self._ends[member].open(packet)

    def send(self, member: str, packet: RtpPacket | RtcpPacket | bytes) -> None:
        data = packet if isinstance(packet, bytes) else packet.serialize()
        self.enter(member)
        now = self.microseconds
        verdicts = bytearray()
        sealed = self._ends[member].seal(data)
        for index, record in enumerate(self.plane.deliver(sealed, member.encode(), now)):
            if record.kind == Kind.RTCP:
                self.router.handle_rtcp(member, self.plane.packet(index), now)
                verdicts.append(DROP)
            else:
                verdicts.append(self.router.handle_packet(member, record, index, now))
        self.plane.forward(bytes(verdicts), now)
        members = {peer: name for name, peer in self._peers.items()}
        for peer in self.plane.heard():
            self.router.handle_feedback(members[peer], now)
        self.take()

    def publish(self, producer: str, member: str, plan: ProducerPlan, *, share: bool = False) -> None:
        self.enter(member)
        self.router.add_producer(producer, member, plan, share=share)

    def pass_time(self, seconds: float, step: float = 0.02) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + step)
            self.router.tick(self.microseconds)
            self.take()

    def receive(self, member: str, *sections: tuple[str, str]) -> list[int]:
        """Gives `member` receiving sections of (mid, kind); returns their SSRCs."""
        self.enter(member)
        plans = []
        for mid, kind in sections:
            self._ssrc += 10
            plans.append(receiver_plan(mid, kind, self._ssrc))
        self.router.set_consumers(member, plans)
        return [plan.ssrc for plan in plans]

    def show(self, member: str, mid: str, producer: str | None) -> None:
        self.router.show(member, mid, producer, self.microseconds)
        self.take()

    def pause(self, producer: str, paused: bool) -> None:
        self.router.pause(producer, paused, self.microseconds)
        self.take()

    def got(self, member: str, ssrc: int) -> list[RtpPacket]:
        return [packet for packet in self.rtp[member] if packet.ssrc == ssrc]

    def asked(self, member: str, kind: type[_Packet]) -> list[_Packet]:
        return [packet for packet in self.rtcp[member] if isinstance(packet, kind)]

    def forget_what_came(self) -> None:
        self.rtp.clear()
        self.rtcp.clear()


class VideoSource:
    """Frames of one camera, published as `producer`."""

    def __init__(
        self, call: Call, member: str, producer: str, ssrc: int, *, sequence: int = 65530, named: bool = True
    ) -> None:
        self.call, self.member, self.producer, self.ssrc = call, member, producer, ssrc
        self.rtx_ssrc = ssrc + 1
        self.sequence, self.timestamp, self.picture = sequence, 4294960000, 32760
        self.sent: dict[int, RtpPacket] = {}
        self.named = named
        self.plan = video_plan("cam", ssrc if named else None, rtx_ssrc=self.rtx_ssrc)
        call.publish(producer, member, self.plan)

    def packets(self, *, key: bool = False, size: int = 250) -> list[RtpPacket]:
        packets = vp8_packets(
            vp8_frame(key, size, self.ssrc),
            self.sequence,
            self.timestamp,
            picture_id=self.picture,
            ssrc=self.ssrc,
        )
        self.sequence = (self.sequence + len(packets)) & 0xFFFF
        self.timestamp = (self.timestamp + 3000) & 0xFFFFFFFF
        self.picture = (self.picture + 1) & 0x7FFF
        for packet in packets:
            packet.extensions = {MID_ID: encode_mid("cam")}
            self.sent[packet.sequence_number] = packet
        return packets

    def frame(self, *, key: bool = False, size: int = 250) -> list[RtpPacket]:
        packets = self.packets(key=key, size=size)
        for packet in packets:
            self.call.send(self.member, packet)
        return packets


class SoundSource:
    """20 ms packets of one microphone."""

    def __init__(self, call: Call, member: str, producer: str, ssrc: int) -> None:
        self.call, self.member, self.producer, self.ssrc = call, member, producer, ssrc
        self.sequence, self.timestamp = 7, 0
        call.publish(producer, member, sound_plan("mic", ssrc))

    def say(self, level: int = 30) -> RtpPacket:
        packet = RtpPacket(
            OPUS,
            self.sequence,
            self.timestamp,
            self.ssrc,
            False,
            b"\xf8" + self.ssrc.to_bytes(4, "big"),
            extensions={MID_ID: encode_mid("mic"), LEVEL_ID: encode_audio_level(True, level)},
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 960) & 0xFFFFFFFF
        self.call.send(self.member, packet)
        return packet


def continuous(packets: list[RtpPacket]) -> bool:
    """No gap and no repetition in the sequence numbers, in the order of arrival."""
    return all((b.sequence_number - a.sequence_number) & 0xFFFF == 1 for a, b in itertools.pairwise(packets))


def pictures(packets: list[RtpPacket]) -> bytes:
    """The bytes of the pictures without what stands before them in each packet."""
    return b"".join(vp8.depacketize(packet.payload)[1] for packet in packets)
