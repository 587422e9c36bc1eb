"""What we offer to the server: which sections, which formats. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from client.call.places import Rank, places
from rtc.header_extensions import AUDIO_LEVEL, MID, TRANSPORT_WIDE
from rtc.sdp import Codec, MediaSection, SessionDescription, TransportParameters
from rtc.signalling import media

#: (mid, id of the producer or None) of each receiving section, in order.
Layout = tuple[tuple[str, str | None], ...]

MICROPHONE_MID, CAMERA_MID = "mic", "cam"
MID_EXTENSION, LEVEL_EXTENSION, TRANSPORT_WIDE_EXTENSION = 1, 2, 3
_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
_OPUS = Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1", ("transport-cc",))
_VP8 = (Codec(96, "VP8", 90000, feedback=_FEEDBACK), Codec(97, "rtx", 90000, parameters="apt=96"))
_H264 = (
    Codec(
        102,
        "H264",
        90000,
        parameters="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        feedback=_FEEDBACK,
    ),
    Codec(103, "rtx", 90000, parameters="apt=102"),
)


@dataclass(frozen=True, slots=True)
class SendSources:
    """SSRCs of what we send."""

    microphone: int
    camera: int
    camera_rtx: int
    cname: str


@dataclass(slots=True)
class _Slot:
    mid: str
    producer: media.Producer | None


@dataclass(slots=True)
class ReceiveSections:
    """The receiving sections of one path, in an order that never changes.

    A producer gets a section of its own with a fresh mid, and so an SSRC of its own: packets can never be
    taken for another's. A section whose producer went is used again under a new mid (RFC 9429 section 5.2.2).
    """

    _slots: list[_Slot] = field(default_factory=list)
    _next_mid: int = 0
    _agreed: Layout = ()

    def want(self, producers: Sequence[media.Producer], rank: Rank = lambda producer: 0) -> bool:
        """Sets what is wanted; True if it is not what was agreed last, so that an offer is needed.

        `rank` tells which pictures come first where there are more than sections.
        """
        have = {s.producer.id for s in self._slots if s.producer is not None}
        wanted = {p.id: p for p in places(producers, have, rank)}
        for slot in self._slots:
            if slot.producer is not None and slot.producer.id not in wanted:
                slot.producer = None
        for producer_id, producer in wanted.items():
            if producer_id not in have:
                self._place(producer)
        return self.layout() != self._agreed

    def layout(self) -> Layout:
        """What an offer made now says."""
        return tuple((s.mid, s.producer.id if s.producer is not None else None) for s in self._slots)

    def agreed(self, layout: Layout) -> None:
        """The offer with this layout was answered."""
        self._agreed = layout

    def by_mid(self) -> dict[str, media.Producer]:
        return {s.mid: s.producer for s in self._slots if s.producer is not None}

    def kinds(self) -> list[tuple[str, media.Producer | None]]:
        """(mid, producer) of every section in order."""
        return [(s.mid, s.producer) for s in self._slots]

    def _place(self, producer: media.Producer) -> None:
        free = next((s for s in self._slots if s.producer is None), None)
        self._next_mid += 1
        mid = f"r{self._next_mid}"
        if free is not None:
            free.mid, free.producer = mid, producer
        else:
            self._slots.append(_Slot(mid, producer))


def build_offer(
    transport: TransportParameters, sources: SendSources, receive: ReceiveSections
) -> SessionDescription:
    """Microphone and camera, then one section for each producer."""
    offer = SessionDescription(transport)
    offer.sections.append(
        _section("audio", MICROPHONE_MID, "sendonly", (_OPUS,), sources.cname, sources.microphone, None)
    )
    offer.sections.append(
        _section("video", CAMERA_MID, "sendonly", _VP8, sources.cname, sources.camera, sources.camera_rtx)
    )
    for mid, producer in receive.kinds():
        kind = producer.kind if producer is not None else "audio"
        codecs = (_OPUS,) if kind == "audio" else (*_VP8, *_H264)
        section = _section(kind, mid, "recvonly", codecs)
        section.rejected = producer is None
        offer.sections.append(section)
    return offer


def _section(
    kind: str,
    mid: str,
    direction: str,
    codecs: tuple[Codec, ...],
    cname: str = "",
    ssrc: int | None = None,
    rtx: int | None = None,
) -> MediaSection:
    extensions = {MID_EXTENSION: MID, TRANSPORT_WIDE_EXTENSION: TRANSPORT_WIDE}
    if kind == "audio":
        extensions[LEVEL_EXTENSION] = AUDIO_LEVEL
    section = MediaSection(kind=kind, mid=mid, codecs=list(codecs), extensions=extensions, cname=cname)
    section.direction = "sendonly" if direction == "sendonly" else "recvonly"
    if ssrc is not None:
        section.ssrcs = [ssrc] if rtx is None else [ssrc, rtx]
        section.stream_id = cname
        if rtx is not None:
            section.rtx = {ssrc: rtx}
    return section
