"""Random media for the forwarding plane: streams of every codec, well formed for the most part."""

from __future__ import annotations

from random import Random

from rtc.fanout import Codec, ExtensionIds, StreamPlan
from rtc.rtp import HEADER, serialize_extensions
from rtc.vp8 import Vp8Descriptor
from tests.rtc.dependency_bits import L1T3, L3T3, S3T3, Shape, write_descriptor

TYPES = {96: Codec.VP8, 98: Codec.VP9, 45: Codec.AV1, 102: Codec.H264, 111: Codec.OPAQUE, 63: Codec.RED}
RTX_TYPES = {97: 96, 99: 98, 46: 45, 103: 102, 104: 77}
VP8_KEY = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00"


class Source:
    """Makes the packets of one SSRC; `now` in microseconds moves its timestamps."""

    def __init__(self, random: Random, plan: StreamPlan, payload_type: int) -> None:
        self.random, self.plan, self.payload_type = random, plan, payload_type
        self.ids = ExtensionIds()
        self.sequence = random.choice((random.randrange(65536), 65500, 32760, 0))
        self.time = random.choice((random.randrange(1 << 32), 0xFFFFFF00, 0))
        self.picture = random.choice((random.randrange(1 << 15), 0x7FF0, 120))
        self.tl0 = random.randrange(256)
        self.frame = random.choice((random.randrange(65536), 65530))
        self.wide = random.random() < 0.7
        self.bare = random.random() < 0.15  # no picture ids
        self.shape: Shape | None = random.choice((L1T3, L3T3, S3T3, None))
        self.rtx_sequence = random.randrange(65536)
        self.past: list[tuple[int, int, bool, bytes, dict[int, bytes]]] = []
        self.wants_key = True
        self.only_temporal: int | None = None

    def packets(self) -> list[bytes]:
        """The next frame, in packets in the clear."""
        random = self.random
        self.time = (self.time + random.choice((960, 3000, 3000, 3000, 90000, 1 << 31))) & 0xFFFFFFFF
        if random.random() < 0.02:
            self.sequence = (self.sequence + random.choice((2, 100, 600, 20000, 40000))) & 0xFFFF
        key = self.wants_key or random.random() < 0.1
        self.wants_key = False
        payload_type = self.payload_type
        if random.random() < 0.02:
            payload_type = random.choice([*TYPES, 13])
        match TYPES.get(payload_type, Codec.OPAQUE):
            case Codec.VP8:
                payloads = self._vp8(key)
            case Codec.H264:
                payloads = self._h264(key)
            case Codec.VP9:
                payloads = self._vp9(key)
            case Codec.AV1:
                payloads = self._av1(key)
            case Codec.RED:
                payloads = [(self._red(), {})]
            case _:
                payloads = [(random.randbytes(random.choice((0, 1, 3, 80, 200))), {})]
        found = []
        for index, (payload, extensions) in enumerate(payloads):
            marker = index == len(payloads) - 1
            if random.random() < 0.02:  # padding only
                found.append(self._packet(payload_type, False, b"", {}, padding=random.choice((1, 200))))
            found.append(self._packet(payload_type, marker, payload, extensions))
        return found

    def retransmission(self) -> bytes:
        """One of the past packets under the repair SSRC, or on the media's own, or a probe."""
        random = self.random
        rtx_type = next((rtx for rtx, media in RTX_TYPES.items() if media == self.payload_type), 97)
        ssrc = self.plan.rtx_ssrc or self.plan.ssrc
        if random.random() < 0.2:
            ssrc = self.plan.ssrc
        sequence, self.rtx_sequence = self.rtx_sequence, (self.rtx_sequence + 1) & 0xFFFF
        if ssrc == self.plan.ssrc:
            sequence, self.sequence = self.sequence, (self.sequence + 1) & 0xFFFF
        if not self.past or random.random() < 0.1:
            payload, marker, time = random.randbytes(random.randrange(3)), False, self.time
            extensions: dict[int, bytes] = {}
        else:
            original, time, marker, body, extensions = random.choice(self.past)
            payload = original.to_bytes(2, "big") + body
        return self._build(rtx_type, sequence, time, ssrc, marker, payload, extensions, 0)

    def _packet(
        self, payload_type: int, marker: bool, payload: bytes, extensions: dict[int, bytes], padding: int = 0
    ) -> bytes:
        random = self.random
        sequence, self.sequence = self.sequence, (self.sequence + 1) & 0xFFFF
        if random.random() < 0.03:
            padding = random.choice((1, 4, 255))
        self.past = [*self.past[-30:], (sequence, self.time, marker, payload, extensions)]
        return self._build(
            payload_type, sequence, self.time, self.plan.ssrc, marker, payload, extensions, padding
        )

    def _build(
        self,
        payload_type: int,
        sequence: int,
        time: int,
        ssrc: int,
        marker: bool,
        payload: bytes,
        extensions: dict[int, bytes],
        padding: int,
    ) -> bytes:
        random, ids = self.random, self.ids
        extensions = dict(extensions)
        if ids.level and (not self.plan.video or random.random() < 0.1):
            extensions[ids.level] = random.randbytes(random.choice((1, 1, 1, 2)))
        if ids.transport_wide and random.random() < 0.9:
            extensions[ids.transport_wide] = random.randbytes(random.choice((2, 2, 2, 4, 1)))
        if ids.mid and random.random() < 0.2:
            extensions[ids.mid] = b"q" * random.choice((1, 3, 20))
        if random.random() < 0.02:
            extensions[random.randrange(1, 256)] = random.randbytes(random.randrange(30))
        if random.random() < 0.02:
            extensions[ids.level or 9] = b""
        first, csrc = 0x80, b""
        if random.random() < 0.03:
            count = random.randrange(1, 16)
            first, csrc = first | count, random.randbytes(4 * count)
        block = serialize_extensions(extensions) if extensions else b""
        if block:
            first |= 0x10
        tail = b""
        if padding:
            first |= 0x20
            tail = random.randbytes(padding - 1) + bytes((padding,))
        head = HEADER.pack(first, payload_type | (0x80 if marker else 0), sequence, time, ssrc)
        return (head + csrc + block + payload + tail)[:1480]

    def _vp8(self, key: bool) -> list[tuple[bytes, dict[int, bytes]]]:
        random = self.random
        temporal = 0 if key else random.choice((0, 0, 1, 2, 2))
        if self.only_temporal is not None:
            key, temporal = False, self.only_temporal
        self.picture = (self.picture + 1) & (0x7FFF if self.wide else 0x7F)
        if temporal == 0:
            self.tl0 = (self.tl0 + 1) & 0xFF
        layered = random.random() < 0.9
        payloads: list[tuple[bytes, dict[int, bytes]]] = []
        for index in range(random.choice((1, 1, 2, 4))):
            head = Vp8Descriptor(
                index == 0,
                random.choice((0, 0, 0, 3)) if index else 0,
                None if self.bare else self.picture,
                None if self.bare and random.random() < 0.5 else self.tl0,
                temporal if layered else None,
                temporal > 0 and random.random() < 0.4,
                random.choice((None, None, 7)),
                wide_picture_id=self.wide,
            ).serialize()
            body = (VP8_KEY if key else b"\x11\x02\x00") if index == 0 else b"\x55"
            payload = head + body + random.randbytes(random.choice((0, 20, 900)))
            if random.random() < 0.01:
                payload = payload[: random.randrange(1, 5)]
            payloads.append((payload, {}))
        return payloads

    def _h264(self, key: bool) -> list[tuple[bytes, dict[int, bytes]]]:
        random = self.random
        payloads = []
        if key:
            units = b"".join(
                len(unit).to_bytes(2, "big") + unit
                for unit in (b"\x67\x42\x00", b"\x68\xce", b"\x65\x88\x80")
            )
            if random.random() < 0.1:
                units = units[: random.randrange(len(units))]
            payloads.append(
                random.choice((b"\x67\x42", b"\x78" + units, b"\x7c\x87\x01", b"\x7c\x87", b"\x7c\x07\x00"))
            )
        for _ in range(random.choice((1, 2))):
            payloads.append(
                random.choice((b"\x41\x9a", b"\x7c\x81", b"\x7c\x41", b"\x78", b"\x7d"))
                + random.randbytes(30)
            )
        return [(payload, {}) for payload in payloads]

    def _vp9(self, key: bool) -> list[tuple[bytes, dict[int, bytes]]]:
        random = self.random
        self.picture = (self.picture + 1) & (0x7FFF if self.wide else 0x7F)
        temporal = 0 if key else random.choice((0, 1, 2))
        if temporal == 0:
            self.tl0 = (self.tl0 + 1) & 0xFF
        payloads = []
        flexible = random.random() < 0.3
        spatials = range(random.choice((1, 2, 3)))
        described = self._descriptors(key, len(spatials))
        for spatial in spatials:
            first = 0x20 | 0x08 | 0x04 | (0 if key else 0x40) | (0x10 if flexible else 0)
            head = b""
            if not self.bare:
                first |= 0x80
                head = (0x8000 | self.picture).to_bytes(2, "big") if self.wide else bytes((self.picture,))
            up = 0x10 if random.random() < 0.3 else 0
            head += bytes((temporal << 5 | up | spatial << 1 | (spatial > 0),))
            if flexible:
                if not key:
                    head += b"\x02"
            else:
                head += bytes((self.tl0,))
            payload = bytes((first,)) + head + random.randbytes(random.choice((5, 40, 700)))
            if random.random() < 0.01:
                payload = payload[: random.randrange(1, 4)]
            payloads.append((payload, described[spatial]))
        return payloads

    def _av1(self, key: bool) -> list[tuple[bytes, dict[int, bytes]]]:
        random = self.random
        count = random.choice((1, 2, 3))
        described = self._descriptors(key, count)
        return [
            (bytes((0x18 if key and index == 0 else 0x10,)) + random.randbytes(random.choice((4, 300))), more)
            for index, more in enumerate(described)
        ]

    def _descriptors(self, key: bool, count: int) -> list[dict[int, bytes]]:
        """Descriptors of `count` frames, those of one picture, or of one frame's packets."""
        random, ids, shape = self.random, self.ids, self.shape
        if shape is None or not ids.dependency or random.random() < 0.05:
            return [{} for _ in range(count)]
        if key and random.random() < 0.1:
            shape = self.shape = random.choice((L1T3, L3T3, S3T3))
        found: list[dict[int, bytes]] = []
        spatial_count = max(template[0] for template in shape.templates) + 1
        temporal = 0 if key else random.randrange(3)
        for index in range(count):
            spatial = min(index, spatial_count - 1)
            choices = [
                number
                for number, template in enumerate(shape.templates)
                if template[:2] == (spatial, temporal)
            ]
            start = spatial == index
            if start:
                self.frame = (self.frame + 1) & 0xFFFF
            value = write_descriptor(
                shape,
                choices[0] if key else choices[-1],
                self.frame,
                start=start,
                end=spatial == index and (index < spatial_count - 1 or index == count - 1),
                attach=key and start and spatial == 0,
                active=random.randrange(1 << shape.targets) if random.random() < 0.1 else None,
                indications="".join(random.choice("-DSR") for _ in range(shape.targets))
                if random.random() < 0.05
                else None,
                differences=(1, 20, 300) if random.random() < 0.05 else None,
            )
            if random.random() < 0.03:
                value = value[: random.randrange(len(value) + 1)] + random.randbytes(random.randrange(3))
            found.append({ids.dependency: value})
        return found

    def _red(self) -> bytes:
        random = self.random
        sizes = [random.choice((0, 10, 10, 300)) for _ in range(random.randrange(3))]
        primary = random.choice((111, 111, 111, random.randrange(128)))
        heads = b"".join(bytes((0x80 | 111, random.randrange(256), size >> 8, size & 0xFF)) for size in sizes)
        payload = heads + bytes((primary,)) + random.randbytes(sum(sizes) + random.choice((0, 1, 40, 40, 40)))
        dice = random.random()
        if dice < 0.05 and sizes:  # a length that lies
            payload = payload[:2] + random.randbytes(2) + payload[4:]
        return payload if dice < 0.9 else payload[: random.randrange(len(payload))]
