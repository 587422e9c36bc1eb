"""A receiver behind a link that may be thin or lossy, as a browser behaves, for the router in virtual
time."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise

from rtc import rtcp, rtx, vp8
from rtc.fanout import ExtensionIds
from rtc.header_extensions import encode_mid
from rtc.nack import NackTracker
from rtc.reports import to_ntp
from rtc.rtp import RtpPacket, is_rtcp
from rtc.sequence import SequenceUnwrapper
from rtc.transport_feedback import FeedbackRecorder
from server_lite.negotiation import LayerPlan
from tests.server_lite.call_of_packets import (
    IDS,
    MID_ID,
    RID_ID,
    WIDE_ID,
    Call,
    SoundSource,
    layered_plan,
)

MS = 1_000
S = 1_000_000
#: Of each layer: lines, bytes of a picture, and of a key frame (0.14, 0.48 and 1.6 Mbit/s with headers).
LAYERS = {"l": (180, 500, 4_000), "m": (360, 1_850, 14_000), "h": (720, 6_300, 45_000)}
WIDE_IDS = replace(IDS, transport_wide=WIDE_ID)
#: Microseconds of its rate that may wait before a thin link, as in tests/support/shaped_network.py.
QUEUE = 300 * MS
#: Seconds without a picture until a browser asks for a key frame.
STUCK = 3.0


class Camera:
    """Three layers at 30 pictures a second, each a key frame when it is asked for one."""

    def __init__(self, call: Call, member: str, producer: str, ssrc: int, part: float = 1.0) -> None:
        self._call, self._member, self._part = call, member, part
        self._ssrcs = {rid: ssrc + 10 * n for n, rid in enumerate(LAYERS)}
        self._numbers = dict.fromkeys(LAYERS, 1000)
        self.frames = 0
        self._read = 0
        call.publish(
            producer, member, layered_plan("cam", *(LayerPlan(r, s, None) for r, s in self._ssrcs.items()))
        )

    def frame(self) -> None:
        heard = self._call.rtcp[self._member]
        asked = {p.media_ssrc for p in heard if isinstance(p, rtcp.PictureLossIndication)}
        heard.clear()
        for rid, ssrc in self._ssrcs.items():
            self._send(rid, ssrc, ssrc in asked or not self.frames)
            if self.frames % 30 == 0:
                report = rtcp.SenderReport(ssrc, to_ntp(self.frames / 30), self.frames * 3000, 1, 1)
                self._call.send(self._member, report)
        self.frames += 1

    def _send(self, rid: str, ssrc: int, key: bool) -> None:
        height, delta_size, key_size = LAYERS[rid]
        head = b"\x10\x00\x00\x9d\x01\x2a" + bytes(2) + height.to_bytes(2, "little")
        size = int((key_size if key else delta_size) * self._part)
        data = (head if key else b"\x11" * 10) + bytes([height // 4]) * size
        payloads = vp8.packetize(data, self.frames & 0x7FFF, 1100, self.frames & 0xFF)
        for index, payload in enumerate(payloads):
            number = self._numbers[rid]
            self._numbers[rid] += 1
            last = index == len(payloads) - 1
            packet = RtpPacket(96, number & 0xFFFF, self.frames * 3000, ssrc, last, payload)
            packet.extensions = {MID_ID: encode_mid("cam"), RID_ID: rid.encode()}
            self._call.send(self._member, packet)


@dataclass(frozen=True, slots=True)
class Picture:
    time: float  # seconds
    height: int


class _Assembly:
    """Decodes the pictures of one section in order, as a browser does."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.nacks = NackTracker()
        self.shown: list[Picture] = []
        self.wants_key = False
        self._numbers = SequenceUnwrapper(16)
        self._packets: dict[int, RtpPacket] = {}  # by unwrapped number
        self._next: int | None = None  # the first number of the next picture
        self._shown_at = self._asked_at = 0.0

    def take(self, packet: RtpPacket, now: float) -> None:
        self.nacks.received(packet.sequence_number, now)
        number = self._numbers.unwrap(packet.sequence_number)
        if self._next is None or number >= self._next:
            self._packets[number] = packet
        while self._decode(now):
            pass

    def is_stuck(self, now: float) -> bool:
        """Whether a key frame is to be asked for now."""
        if now - max(self._shown_at, self._asked_at) < (STUCK if self._next is not None else 0.2):
            return False
        self._asked_at = now
        return True

    def _decode(self, now: float) -> bool:
        if self._next is not None and self._whole(self._next):
            return self._show(self._next, now)
        keys = [n for n, p in self._packets.items() if vp8.starts_key_frame(p.payload) and self._whole(n)]
        return bool(keys) and self._show(max(keys), now)

    def _whole(self, first: int) -> bool:
        number = first
        while (packet := self._packets.get(number)) is not None:
            if packet.marker:
                return True
            number += 1
        return False

    def _show(self, first: int, now: float) -> bool:
        number = first
        while not self._packets[number].marker:
            number += 1
        self.shown.append(Picture(now, 4 * self._packets[number].payload[-1]))
        self._next, self._shown_at = number + 1, now
        self.nacks.forget_before((number + 1) & 0xFFFF)
        for old in [n for n in self._packets if n <= number]:
            del self._packets[old]
        return True


class Viewer:
    """`member` receives `sections` sections over a link of `capacity` bit/s (0: no limit) and `delay`
    microseconds one way, which loses `loss` (0..1) of the packets both ways. It tells every `interval`
    microseconds what came (0: never), or each second REMB."""

    def __init__(
        self, call: Call, member: str, *producers: str, interval: int = 100 * MS, delay: int = 5 * MS
    ) -> None:
        self.call, self.member, self.delay = call, member, delay
        self.capacity, self.loss = 0, 0.0
        self.went_in = self.went_out = self.dropped = 0  # datagrams, bytes of them
        self._random = random.Random(7)
        self._recorder = FeedbackRecorder(9, interval=interval) if interval else None
        self._free = 0
        self._coming: deque[tuple[int, bytes]] = deque()
        self._going: deque[tuple[int, bytes]] = deque()
        mids = [(f"r{n}", "video") for n in range(len(producers))]
        ssrcs = call.receive(member, *mids, ("sound", "audio"))
        self.parts = {ssrc: _Assembly(ssrc) for ssrc in ssrcs[:-1]}
        self.sound = 0
        self._sound_ssrc = ssrcs[-1]
        for (mid, _), producer in zip(mids, producers, strict=True):
            call.show(member, mid, producer)

    @property
    def shown(self) -> list[Picture]:
        """Of the first section."""
        return next(iter(self.parts.values())).shown

    def sent(self, datagram: bytes, now: int) -> None:
        """The server sends it into the link."""
        self.went_in += len(datagram)
        if self._random.random() < self.loss:
            self.dropped += 1
            return
        if self.capacity:
            waits = max(0, self._free - now)
            if waits > QUEUE:
                self.dropped += 1
                return
            self._free = max(self._free, now) + (len(datagram) + 28) * 8 * S // self.capacity
        else:
            self._free = now
        self._coming.append((max(self._free, now) + self.delay, datagram))

    def step(self, now: int) -> None:
        arrivals: list[tuple[int, int]] = []
        while self._coming and self._coming[0][0] <= now:
            time, datagram = self._coming.popleft()
            self._take(datagram, time, arrivals)
        for part in self.parts.values():
            self._ask(part, now)
        if self._recorder is not None:
            self._recorder.arrived(arrivals)
            for report in self._recorder.build(1, now):
                self._say(report.serialize(), now)
        while self._going and self._going[0][0] <= now:
            self.call.send(self.member, self._going.popleft()[1])

    def _take(self, datagram: bytes, time: int, arrivals: list[tuple[int, int]]) -> None:
        self.went_out += len(datagram)
        opened = self.call.open(self.member, datagram)
        if is_rtcp(opened):
            return
        packet = RtpPacket.parse(opened)
        wide = packet.extensions.get(WIDE_ID)
        if wide is not None:
            arrivals.append((int.from_bytes(wide[:2], "big"), time))
        if packet.ssrc == self._sound_ssrc:
            self.sound += 1
        elif packet.ssrc in self.parts:
            self.parts[packet.ssrc].take(packet, time / S)
        elif packet.ssrc - 1 in self.parts and len(packet.payload) > 2:
            original = rtx.decapsulate(packet, 120, packet.ssrc - 1)
            self.parts[packet.ssrc - 1].take(original, time / S)

    def _ask(self, part: _Assembly, now: int) -> None:
        missing = part.nacks.due(now / S)
        if missing:
            self._say(rtcp.GenericNack(9, part.ssrc, missing).serialize(), now)
        if part.is_stuck(now / S):
            self._say(rtcp.PictureLossIndication(9, part.ssrc).serialize(), now)

    def _say(self, data: bytes, now: int) -> None:
        if self._random.random() >= self.loss:
            self._going.append((now + self.delay, data))


def first(shown: list[Picture], height: int, since: float) -> float:
    """Seconds from `since` until a picture of `height` lines is seen."""
    return next((p.time - since for p in shown if p.time >= since and p.height == height), 1e9)


def longest_gap(shown: list[Picture], since: float, until: float) -> float:
    """Seconds that one picture stood between the two."""
    before = [p.time for p in shown if p.time < since][-1:]
    times = [*before, *(p.time for p in shown if since <= p.time < until), until]
    return max(b - a for a, b in pairwise(times))


class Meeting:
    """Cameras and viewers; a step is a millisecond."""

    def __init__(self, cameras: int = 1, ids: ExtensionIds = WIDE_IDS, part: float = 1.0) -> None:
        self.call = Call(ids)
        names = [f"ann{n}" for n in range(cameras)]
        self.cameras = [
            Camera(self.call, name, f"p-{name}", 10_000 * (n + 1), part) for n, name in enumerate(names)
        ]
        self.voice = SoundSource(self.call, "ann0", "voice", 5)
        self.viewers: dict[str, Viewer] = {}
        self.call.through = self._through
        self._step = 0

    def watch(self, member: str, height: int = 720, interval: int = 100 * MS) -> Viewer:
        producers = [f"p-ann{n}" for n in range(len(self.cameras))]
        viewer = self.viewers[member] = Viewer(self.call, member, *producers, interval=interval)
        self.call.show(member, "sound", "voice")
        self.call.router.view(member, dict.fromkeys(producers, height), None, self.call.microseconds)
        return viewer

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000)):
            self._step += 1
            self.call.now = round(self.call.now + 0.001, 6)
            now = self.call.microseconds
            if self._step % 33 == 0:
                for camera in self.cameras:
                    camera.frame()
            if self._step % 20 == 0:
                self.voice.say()
            if self._step % (20 if self.call.router.upstream.waits else 50) == 0:
                self.call.router.tick(now)
            for viewer in self.viewers.values():
                viewer.step(now)
            self.call.take()

    def _through(self, member: str, datagram: bytes, now: int) -> bool:
        viewer = self.viewers.get(member)
        if viewer is None:
            return False
        viewer.sent(datagram, now)
        return True
