"""From an offer to an answer and to what the router must know. Pure.

Each m-section is one stream: it sends to us (a producer) or receives from us (a consumer). Of the codecs,
those that are forwarded are kept, VP8 first, since every client decodes it. Forward error correction of
pictures is not (docs/decisions/0031-fec.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from rtc.fanout import ExtensionIds
from rtc.header_extensions import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    DEPENDENCY,
    MID,
    REPAIRED_RID,
    RID,
    TRANSPORT_WIDE,
)
from rtc.sdp import MAX_ENCODINGS, Codec, MediaSection, SessionDescription, TransportParameters
from rtc.signalling import ProtocolError, media

FEEDBACK = ("nack", "nack pli", "ccm fir")
#: Feedback about bandwidth: the first of these that a peer offers is agreed on.
_TRANSPORT_FEEDBACK, _OLD_FEEDBACK = "transport-cc", "goog-remb"
#: Formats that are forwarded, the lower the earlier; sound keeps the order of the offer.
_PREFERENCE = {"vp8": 0, "vp9": 1, "h264": 2, "av1": 3, "opus": 0, "red": 0}
_LAYERED = ("vp9", "av1")  # these may carry a dependency descriptor
_KEPT_EXTENSIONS = (MID, AUDIO_LEVEL, RID, REPAIRED_RID, TRANSPORT_WIDE)
_FIELDS = {
    MID: "mid",
    RID: "rid",
    REPAIRED_RID: "repaired_rid",
    AUDIO_LEVEL: "level",
    ABS_SEND_TIME: "send_time",
    TRANSPORT_WIDE: "transport_wide",
    DEPENDENCY: "dependency",
}
#: kbit/s that a browser starts with instead of probing up from 300 for many seconds: of one picture, and of
#: one in several layers.
_BROWSER_START_KBPS, _LAYERED_START_KBPS = 1000, 2000


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One encoding: its name in header extensions, or the SSRCs that the offer gives it."""

    rid: str
    ssrc: int | None
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class ProducerPlan:
    """What arrives in one section. Codec names are upper case. Layers are in the order of the offer, which
    tells nothing about their size."""

    mid: str
    kind: str
    codecs: Mapping[int, str]  # payload type -> name
    rtx_types: Mapping[int, int]  # RTX payload type -> payload type it repairs
    clock_rate: int
    layers: tuple[LayerPlan, ...]


@dataclass(frozen=True, slots=True)
class ConsumerPlan:
    """What leaves in one section."""

    mid: str
    kind: str
    ssrc: int
    rtx_ssrc: int | None
    codecs: Mapping[str, int]  # name -> payload type
    rtx_types: Mapping[int, int]  # payload type -> its RTX payload type
    clock_rate: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer and the streams that it agrees on. `extensions` holds for the whole path (RFC 9143)."""

    answer: SessionDescription
    producers: tuple[ProducerPlan, ...]
    consumers: tuple[ConsumerPlan, ...]
    extensions: ExtensionIds


def negotiate(
    offer: SessionDescription,
    *,
    sending: set[str],
    receiving: set[str],
    local: TransportParameters,
    known: Mapping[str, ConsumerPlan],
    new_ssrc: Callable[[], int],
) -> Plan:
    """Answers `offer`. `known` are the consumers of the same path so far: their SSRCs stay.

    Raises ProtocolError where the offer does not say what it claims to say.
    """
    answer = SessionDescription(transport=local, extmap_allow_mixed=offer.extmap_allow_mixed)
    producers: list[ProducerPlan] = []
    consumers: list[ConsumerPlan] = []
    if sending & receiving:
        raise ProtocolError("sdp-mismatch", "A section carries one stream, in one direction.")
    for mid in sorted(sending | receiving):
        if offer.section(mid) is None:
            raise ProtocolError("sdp-mismatch", f"The offer has no section {mid[:16]!r}.")
    for section in offer.sections:
        wanted = section.mid in sending or section.mid in receiving
        mine = _matching(section) if wanted and section.kind != "application" else None
        if section.rejected or mine is None or section.direction == "inactive":
            answer.sections.append(_refuse(section))
            continue
        if not mine.codecs:
            raise ProtocolError(
                "codec-unknown",
                "This program and the meeting have no common video or sound format. Update it.",
            )
        if section.mid in sending:
            _require_direction(section, "sendonly", "sendrecv")
            mine.direction = "recvonly"
            producers.append(_producer(section, mine))
        else:
            _require_direction(section, "recvonly", "sendrecv")
            mine.direction = "sendonly"
            consumers.append(_consumer(mine, known.get(section.mid), new_ssrc))
        answer.sections.append(mine)
    return Plan(answer, tuple(producers), tuple(consumers), _extension_ids(answer.sections))


def agreed_sources(
    producers: Iterable[tuple[str, str]], claimed: Mapping[str, media.Source]
) -> tuple[tuple[str, media.Source], ...]:
    """(mid, source) of what really comes, from (mid, kind): sections that were refused send nothing. Raises
    ProtocolError where a section is of another kind than its source."""
    sources: list[tuple[str, media.Source]] = []
    for mid, kind in producers:
        source = claimed[mid]
        if (source == "microphone") != (kind == "audio"):
            raise ProtocolError("sdp-mismatch", f"A {source} cannot be sent in a section of {kind}.")
        sources.append((mid, source))
    return tuple(sources)


def _matching(section: MediaSection) -> MediaSection:
    """Our side of `section`: the codecs and extensions that both know."""
    usable = [c for c in section.codecs if _is_forwarded(c, section)]
    usable.sort(key=lambda c: _PREFERENCE[c.name.lower()])
    wide = section.extension_id(TRANSPORT_WIDE) is not None
    codecs: list[Codec] = []
    for codec in usable:
        codecs.append(replace(codec, feedback=_feedback(codec, section.kind, wide)))
        rtx = section.rtx_for(codec.payload_type)
        if rtx is not None:
            codecs.append(replace(rtx, feedback=()))
    kept = [*_KEPT_EXTENSIONS]
    if not any(_TRANSPORT_FEEDBACK in codec.feedback for codec in codecs):
        # The one for the others: a peer that estimates by itself does so by the time of sending.
        kept[kept.index(TRANSPORT_WIDE)] = ABS_SEND_TIME
    if any(codec.name.lower() in _LAYERED for codec in codecs):
        kept.append(DEPENDENCY)
    extensions = {n: uri for n, uri in section.extensions.items() if uri in kept}
    return MediaSection(kind=section.kind, mid=section.mid, codecs=codecs, extensions=extensions)


def _feedback(codec: Codec, kind: str, wide: bool) -> tuple[str, ...]:
    """What both want to hear about packets of `codec`; sound is not sent again."""
    own = FEEDBACK if kind == "video" else ()
    bandwidth = _TRANSPORT_FEEDBACK if wide and _TRANSPORT_FEEDBACK in codec.feedback else _OLD_FEEDBACK
    return tuple(item for item in (*own, bandwidth) if item in codec.feedback)


def _extension_ids(sections: Iterable[MediaSection]) -> ExtensionIds:
    """One meaning for each id in all sections. Raises ProtocolError where an offer gives it two."""
    meanings: dict[int, str] = {}
    ids: dict[str, int] = {}
    for section in sections:
        for number, uri in section.extensions.items():
            name = _FIELDS[uri]
            if meanings.setdefault(number, uri) != uri or ids.setdefault(name, number) != number:
                raise ProtocolError(
                    "sdp-mismatch", f"Header extension {number} means different things in two sections."
                )
    return ExtensionIds(**ids)


def _is_forwarded(codec: Codec, section: MediaSection) -> bool:
    name = codec.name.lower()
    if section.kind == "audio":
        if codec.clock_rate != 48000:
            return False
        return name == "opus" or (name == "red" and _wraps_opus(codec, section))
    if codec.clock_rate != 90000:
        return False
    match name:
        case "vp8":
            return True
        case "vp9":
            return codec.parameter("profile-id") in (None, "0")
        case "av1":
            return codec.parameter("profile") in (None, "0")
        case "h264":
            return codec.parameter("packetization-mode") == "1"
    return False


def _wraps_opus(codec: Codec, section: MediaSection) -> bool:
    """Whether redundant sound (RFC 2198) holds nothing but Opus that is forwarded itself."""
    opus = {
        str(c.payload_type) for c in section.codecs if c.name.lower() == "opus" and _is_forwarded(c, section)
    }
    return bool(codec.parameters) and _wrapped(codec) <= opus


def _wrapped(red: Codec) -> set[str]:
    """The payload types in redundant sound, as text."""
    return {payload_type.strip() for payload_type in red.parameters.split("/")}


def _require_direction(section: MediaSection, *allowed: str) -> None:
    if section.direction not in allowed:
        raise ProtocolError(
            "sdp-mismatch", f"Section {section.mid!r} is {section.direction}, not {allowed[0]}."
        )


def _refuse(section: MediaSection) -> MediaSection:
    return MediaSection(
        kind=section.kind, mid=section.mid, codecs=section.codecs[:1], rejected=True, direction="inactive"
    )


def _names(section: MediaSection) -> dict[int, str]:
    return {c.payload_type: c.name.upper() for c in section.codecs if c.name.lower() != "rtx"}


def _keep_one_of_each(section: MediaSection) -> None:
    """The first payload type of each format, with its repairs: packets leave under no other, and answers to
    browsers that offer five kinds of H.264 stay short."""
    first: dict[str, int] = {}
    for payload_type, name in _names(section).items():
        if name != "RED":
            first.setdefault(name, payload_type)
    # Redundant sound leaves with that one kind of Opus in it; a receiver of another kind gets the Opus alone.
    inside = {str(pt) for name, pt in first.items() if name == "OPUS"}
    red = next((c for c in section.codecs if c.name.lower() == "red" and _wrapped(c) == inside), None)
    if red is not None:
        first["RED"] = red.payload_type
    kept = {*first.values(), *(r.payload_type for pt in first.values() if (r := section.rtx_for(pt)))}
    section.codecs = [codec for codec in section.codecs if codec.payload_type in kept]


def _rtx_types(section: MediaSection) -> dict[int, int]:
    """Payload type -> RTX payload type."""
    found = {pt: section.rtx_for(pt) for pt in _names(section)}
    return {pt: rtx.payload_type for pt, rtx in found.items() if rtx is not None}


def _producer(offered: MediaSection, mine: MediaSection) -> ProducerPlan:
    # Without the extension that names them encodings could not be told apart: then one is taken.
    named = mine.extension_id(RID) is not None
    mine.rids = offered.rids[:MAX_ENCODINGS] if named else []
    layers = _layers(offered, mine.rids)
    if mine.kind == "video":
        start = _LAYERED_START_KBPS if len(layers) > 1 else _BROWSER_START_KBPS
        first = mine.codecs[0]  # the one that is sent
        hint = f"x-google-start-bitrate={start}"
        joined = f"{first.parameters};{hint}" if first.parameters else hint
        mine.codecs[0] = replace(first, parameters=joined)
    return ProducerPlan(
        mid=offered.mid,
        kind=offered.kind,
        codecs=_names(mine),
        rtx_types={rtx: pt for pt, rtx in _rtx_types(mine).items()},
        clock_rate=mine.codecs[0].clock_rate,
        layers=layers,
    )


def _layers(offered: MediaSection, rids: list[str]) -> tuple[LayerPlan, ...]:
    if rids:  # the SSRCs that Firefox names besides are in no order that is told
        return tuple(LayerPlan(rid, None, None) for rid in rids)
    repairs = set(offered.rtx.values())
    ssrcs = offered.simulcast or [s for s in offered.ssrcs if s not in repairs][:1]
    return tuple(LayerPlan("", s, offered.rtx.get(s)) for s in ssrcs) or (LayerPlan("", None, None),)


def _consumer(mine: MediaSection, known: ConsumerPlan | None, new_ssrc: Callable[[], int]) -> ConsumerPlan:
    _keep_one_of_each(mine)
    rtx_types = _rtx_types(mine)
    ssrc = known.ssrc if known is not None else new_ssrc()
    rtx_ssrc: int | None = None
    if rtx_types:
        rtx_ssrc = known.rtx_ssrc if known is not None and known.rtx_ssrc else new_ssrc()
        mine.rtx = {ssrc: rtx_ssrc}
    mine.ssrcs = [ssrc] if rtx_ssrc is None else [ssrc, rtx_ssrc]
    mine.cname = "hearth"
    mine.stream_id = f"hearth-{mine.mid}"
    return ConsumerPlan(
        mid=mine.mid,
        kind=mine.kind,
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
        codecs={name: pt for pt, name in _names(mine).items()},
        rtx_types=rtx_types,
        clock_rate=mine.codecs[0].clock_rate,
    )
