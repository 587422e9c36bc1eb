"""From an offer to an answer and to what the router must know. Pure.

Each m-section is one stream: it sends to us (a producer) or receives from us (a consumer). Of the codecs,
those that are forwarded are kept, VP8 first, since every client decodes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rtc.header_extensions import AUDIO_LEVEL, MID
from rtc.sdp import Codec, MediaSection, SessionDescription, TransportParameters
from rtc.signalling import ProtocolError, media

FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")
_PREFERENCE = {"vp8": 0, "h264": 1, "opus": 0}
_KEPT_EXTENSIONS = (MID, AUDIO_LEVEL)
#: kbit/s that a browser starts with instead of probing up from 300 for many seconds.
_BROWSER_START_KBPS = 1000


@dataclass(frozen=True, slots=True)
class ProducerPlan:
    """What arrives in one section. Codec names are upper case."""

    mid: str
    kind: str
    ssrcs: tuple[int, ...]  # media SSRCs if the offer names them
    rtx_ssrcs: Mapping[int, int]  # RTX SSRC -> media SSRC
    codecs: Mapping[int, str]  # payload type -> name
    rtx_types: Mapping[int, int]  # RTX payload type -> payload type it repairs
    clock_rate: int
    mid_extension: int | None
    level_extension: int | None


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
    mid_extension: int | None
    level_extension: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer and the streams that it agrees on."""

    answer: SessionDescription
    producers: tuple[ProducerPlan, ...]
    consumers: tuple[ConsumerPlan, ...]


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
    answer = SessionDescription(transport=local)
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
    return Plan(answer, tuple(producers), tuple(consumers))


def agreed_sources(plan: Plan, claimed: Mapping[str, media.Source]) -> tuple[tuple[str, media.Source], ...]:
    """(mid, source) of what really comes: sections that were refused send nothing. Raises ProtocolError
    where a section is of another kind than its source."""
    sources: list[tuple[str, media.Source]] = []
    for producer in plan.producers:
        source = claimed[producer.mid]
        if (source == "microphone") != (producer.kind == "audio"):
            raise ProtocolError("sdp-mismatch", f"A {source} cannot be sent in a section of {producer.kind}.")
        sources.append((producer.mid, source))
    return tuple(sources)


def _matching(section: MediaSection) -> MediaSection:
    """Our side of `section`: the codecs and extensions that both know."""
    usable = [c for c in section.codecs if _is_forwarded(c, section.kind)]
    usable.sort(key=lambda c: _PREFERENCE[c.name.lower()])
    codecs: list[Codec] = []
    for codec in usable:
        feedback = FEEDBACK if section.kind == "video" else ()
        codecs.append(replace(codec, feedback=feedback))
        rtx = section.rtx_for(codec.payload_type)
        if rtx is not None:
            codecs.append(replace(rtx, feedback=()))
    extensions = {n: uri for n, uri in section.extensions.items() if uri in _KEPT_EXTENSIONS}
    return MediaSection(kind=section.kind, mid=section.mid, codecs=codecs, extensions=extensions)


def _is_forwarded(codec: Codec, kind: str) -> bool:
    name = codec.name.lower()
    if kind == "audio":
        return name == "opus" and codec.clock_rate == 48000
    if codec.clock_rate != 90000:
        return False
    return name == "vp8" or (name == "h264" and codec.parameter("packetization-mode") == "1")


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


def _rtx_types(section: MediaSection) -> dict[int, int]:
    """Payload type -> RTX payload type."""
    found = {pt: section.rtx_for(pt) for pt in _names(section)}
    return {pt: rtx.payload_type for pt, rtx in found.items() if rtx is not None}


def _producer(offered: MediaSection, mine: MediaSection) -> ProducerPlan:
    for i, codec in enumerate(mine.codecs):
        if codec.name.lower() == "vp8":
            hint = f"x-google-start-bitrate={_BROWSER_START_KBPS}"
            joined = f"{codec.parameters};{hint}" if codec.parameters else hint
            mine.codecs[i] = replace(codec, parameters=joined)
    repairs = {rtx: ssrc for ssrc, rtx in offered.rtx.items()}
    return ProducerPlan(
        mid=offered.mid,
        kind=offered.kind,
        ssrcs=tuple(s for s in offered.ssrcs if s not in repairs),
        rtx_ssrcs=repairs,
        codecs=_names(mine),
        rtx_types={rtx: pt for pt, rtx in _rtx_types(mine).items()},
        clock_rate=mine.codecs[0].clock_rate,
        mid_extension=mine.extension_id(MID),
        level_extension=mine.extension_id(AUDIO_LEVEL),
    )


def _consumer(mine: MediaSection, known: ConsumerPlan | None, new_ssrc: Callable[[], int]) -> ConsumerPlan:
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
        codecs={name: pt for pt, name in reversed(_names(mine).items())},
        rtx_types=rtx_types,
        clock_rate=mine.codecs[0].clock_rate,
        mid_extension=mine.extension_id(MID),
        level_extension=mine.extension_id(AUDIO_LEVEL),
    )
