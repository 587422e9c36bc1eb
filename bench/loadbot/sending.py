"""The sending half of a light member: stamped frames at their times, and answers to RTCP."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from bench.loadbot.formats import OPUS, PICTURES, RED, RTX_TYPES, rtx, section
from bench.loadbot.outgoing import Outgoing, Wide
from bench.loadbot.plane import Plane
from bench.loadbot.scenarios import SOUND_BYTES, SOUND_INTERVAL, Camera, Encoding, Scenario
from bench.loadbot.stamp import Stamp, opus_packet, plain_frame, redundant, vp8_frame
from bench.loadbot.structure import Place, av1_head, descriptor, place, vp8_head, vp9_head
from rtc.rtcp import FullIntraRequest, GenericNack, PictureLossIndication, RtcpPacket
from rtc.sdp import MediaSection

SOUND_MID: Final = "0"
VIDEO_MID: Final = "1"
REPORT_INTERVAL: Final = 1.0
#: Bytes of payload without descriptors: with headers and SRTP this stays below 1,280.
_MAX_DATA: Final = 1150
#: A key frame is so many times the size of the others, and at most so many bytes.
_KEY_FRAME_FACTOR: Final = 4
_KEY_FRAME_BYTES: Final = 40_000
#: Loudness of the speaker, of others who talk, and of silence, as in RFC 6464.
_SPEAKING, _TALKING, _SILENT = 0x80 | 20, 0x80 | 40, 90
#: Seconds by which a frame may be late; what is later is left out, so that nothing comes in bursts.
_LATE: Final = 0.2
_TICKS: Final = int(SOUND_INTERVAL * OPUS.clock_rate)


class Path(Protocol):
    """What takes the packets."""

    def send_rtp(self, packets: Sequence[bytes]) -> None: ...
    def send_rtcp(self, data: bytes) -> None: ...


class Microphone:
    """Opus, with the packet before once more where `red`."""

    def __init__(self, number: int, out: Outgoing, *, red: bool) -> None:
        self._sender, self.out, self._red = number, out, red
        self._number = 0
        self._before = b""

    def packet(self, due: float, now: float, level: int) -> bytes:
        opus = opus_packet(Stamp(self._sender, self._number, now, now - due), SOUND_BYTES)
        self._number += 1
        payload, payload_type = opus, OPUS.payload_type
        if self._red:
            payload, payload_type = redundant(payload_type, opus, self._before, _TICKS), RED.payload_type
            self._before = opus
        timestamp = self.out.timestamp(due)
        return self.out.packet(payload_type, self._number == 1, timestamp, payload, now, level=level)


class Encoder:
    """Makes the frames of one stream: one encoding, or spatial layers that belong together."""

    def __init__(self, number: int, camera: Camera, layer: int, encodings: Sequence[Encoding], out: Outgoing):
        self._sender, self._camera, self._layer, self.out = number, camera, layer, out
        self._encodings = encodings
        self._codec = PICTURES[camera.codec].payload_type
        self._number = self._since_key = 0
        self._picture_id, self._tl0 = random.randrange(1 << 15), random.randrange(1 << 8)
        self.interval = 1 / max(encoding.fps for encoding in encodings)
        self.key_wanted = True
        self.key_frames = 0

    def picture(self, due: float, now: float) -> list[bytes]:
        """The packets of one picture that was taken at `due`."""
        key, self.key_wanted = self.key_wanted, False
        self.key_frames += key
        self._since_key = 0 if key else (self._since_key % 4) + 1
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        timestamp = self.out.timestamp(due)
        packets: list[bytes] = []
        for spatial, encoding in enumerate(self._encodings):
            where = place(self._since_key, spatial, len(self._encodings), self._camera.temporal)
            if where.temporal == 0 and not spatial:
                self._tl0 = (self._tl0 + 1) & 0xFF
            stamp = Stamp(
                self._sender,
                self._number,
                now,
                now - due,
                self._layer + spatial,
                where.temporal,
                where.key,
                self._camera.naming == "svc",
                where.references,
                self._camera.temporal,
            )
            size = encoding.frame_bytes
            if key:
                size = min(_KEY_FRAME_FACTOR * size, max(size, _KEY_FRAME_BYTES))
            top = spatial == len(self._encodings) - 1
            packets += self._packets(stamp, where, spatial, size, timestamp, now, key=key, top=top)
            self._number += 1
        return packets

    def _packets(
        self,
        stamp: Stamp,
        where: Place,
        spatial: int,
        size: int,
        timestamp: int,
        now: float,
        *,
        key: bool,
        top: bool,
    ) -> list[bytes]:
        vp8 = self._camera.codec == "VP8"
        data = vp8_frame(stamp, size, self._encodings[spatial].height) if vp8 else plain_frame(stamp, size)
        count = -(-len(data) // _MAX_DATA)
        packets = []
        for index in range(count):
            first, last = index == 0, index == count - 1
            part = data[index * len(data) // count : (index + 1) * len(data) // count]
            head = self._head(where, spatial, key=key, first=first, last=last)
            told = b""
            if self._camera.naming == "svc":
                told = descriptor(
                    where.template,
                    self._number & 0xFFFF,
                    len(self._encodings),
                    first=first,
                    last=last,
                    structure=where.key and first,
                )
            marker = last and top
            packets.append(self.out.packet(self._codec, marker, timestamp, head + part, now, descriptor=told))
        return packets

    def _head(self, where: Place, spatial: int, *, key: bool, first: bool, last: bool) -> bytes:
        match self._camera.codec:
            case "VP8":
                return vp8_head(
                    self._picture_id, self._tl0, where, first=first, temporal=self._camera.temporal
                )
            case "VP9":
                return vp9_head(self._picture_id, self._tl0, where, spatial, key=key, first=first, last=last)
        return av1_head(key=where.key, first=first, last=last)


class Sending:
    """What one publisher sends. `speaks(now)` says whether it is its turn."""

    def __init__(
        self,
        number: int,
        scenario: Scenario,
        speaks: Callable[[float], bool],
        wide: Wide | None = None,
    ) -> None:
        self._number, self._scenario, self._speaks = number, scenario, speaks
        self._quiet = _TALKING if number < scenario.talkers and scenario.talkers > 1 else _SILENT
        self._name = f"load-{number}"
        self.wide = wide or Wide()
        sound = Outgoing(SOUND_MID, self._name, OPUS.clock_rate, self.wide)
        self.microphone = Microphone(number, sound, red=scenario.red)
        self.encoders: list[Encoder] = []
        encodings = scenario.encodings(number)
        if scenario.camera is not None and encodings:
            camera = scenario.camera
            groups = [encodings] if camera.naming == "svc" else [(encoding,) for encoding in encodings]
            for layer, group in enumerate(groups):
                rid = "lmh"[layer] if camera.naming == "rid" else ""
                out = Outgoing(VIDEO_MID, self._name, 90000, self.wide, rid=rid, repairs=True)
                self.encoders.append(Encoder(number, camera, layer, group, out))
        self.packets = 0
        self._path: Path | None = None
        self._stopped = False

    @property
    def video(self) -> bool:
        """Whether there is a camera."""
        return bool(self.encoders)

    @property
    def outs(self) -> list[Outgoing]:
        return [self.microphone.out, *(encoder.out for encoder in self.encoders)]

    def sections(self) -> list[MediaSection]:
        """What an offer says of the streams."""
        sound = section("audio", SOUND_MID, "sendonly", [RED, OPUS] if self._scenario.red else [OPUS])
        sound.ssrcs = [self.microphone.out.ssrc]
        found = [sound]
        camera = self._scenario.camera
        if camera is not None and self.encoders:
            codec = PICTURES[camera.codec]
            pictures = section("video", VIDEO_MID, "sendonly", [codec, rtx(codec)])
            outs = [encoder.out for encoder in self.encoders]
            if camera.naming == "rid":
                pictures.rids = [out.rid for out in outs]
            else:
                pictures.ssrcs = [ssrc for out in outs for ssrc in (out.ssrc, out.rtx_ssrc)]
                pictures.rtx = {out.ssrc: out.rtx_ssrc for out in outs}
                pictures.simulcast = [out.ssrc for out in outs] if len(outs) > 1 else []
            found.append(pictures)
        for made in found:
            made.cname = made.stream_id = self._name
        return found

    def begin(self, plane: Plane, path: Path) -> None:
        """Sends until `stop`. Publishers begin at random phases, as people do."""
        self._path = path
        now = time.monotonic()
        self._sound_due = now + random.random() * SOUND_INTERVAL
        plane.call_at(self._sound_due, self._send_sound)
        start = now + random.random() * 0.05
        for encoder in self.encoders:
            plane.call_at(start, self._camera(encoder, start))
        plane.call_at(now + random.random() * REPORT_INTERVAL, self._report)

    def stop(self) -> None:
        self._stopped = True

    def handle_rtcp(self, packets: Sequence[RtcpPacket], now: float) -> None:
        """Requests of the server."""
        for packet in packets:
            match packet:
                case GenericNack(media_ssrc=ssrc, lost=lost):
                    for out in self.outs:
                        if out.ssrc == ssrc and out.rtx_ssrc and self._path is not None:
                            self._path.send_rtp(out.repairs(lost, RTX_TYPES, now))
                case PictureLossIndication(media_ssrc=ssrc):
                    self._want_key({ssrc})
                case FullIntraRequest(requests=requests):
                    self._want_key({ssrc for ssrc, _ in requests})

    def _want_key(self, ssrcs: set[int]) -> None:
        for encoder in self.encoders:
            encoder.key_wanted |= encoder.out.ssrc in ssrcs

    def _send(self, packets: Sequence[bytes]) -> None:
        if self._path is not None:
            self._path.send_rtp(packets)
            self.packets += len(packets)

    def _send_sound(self, now: float) -> float | None:
        if self._stopped:
            return None
        due = self._sound_due
        if now - due > _LATE:
            due += int((now - due) / SOUND_INTERVAL) * SOUND_INTERVAL
        level = _SPEAKING if self._speaks(now) else self._quiet
        self._send([self.microphone.packet(due, now, level)])
        self._sound_due = due + SOUND_INTERVAL
        return self._sound_due

    def _camera(self, encoder: Encoder, due: float) -> Callable[[float], float | None]:
        def send(now: float) -> float | None:
            nonlocal due
            if self._stopped:
                return None
            if now - due > _LATE:
                due += int((now - due) / encoder.interval) * encoder.interval
            self._send(encoder.picture(due, now))
            due += encoder.interval
            return due

        return send

    def _report(self, now: float) -> float | None:
        if self._stopped or self._path is None:
            return None
        for out in self.outs:
            report = out.report(now, time.time())
            if report:
                self._path.send_rtcp(report)
        return now + REPORT_INTERVAL
