"""What light members agree on in SDP: codecs, header extensions, sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.loadbot.frames import DEPENDENCY_ID, VP8_TYPE
from rtc import fanout
from rtc.fanout import ExtensionIds
from rtc.header_extensions import AUDIO_LEVEL, DEPENDENCY, MID, REPAIRED_RID, RID, TRANSPORT_WIDE
from rtc.sdp import Codec, MediaSection

_FEEDBACK: Final = ("nack", "nack pli", "ccm fir", "transport-cc")
OPUS: Final = Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1", ("transport-cc",))
RED: Final = Codec(63, "red", 48000, 2, "111/111", ("transport-cc",))
VP8: Final = Codec(VP8_TYPE, "VP8", 90000, 1, "", _FEEDBACK)
VP9: Final = Codec(98, "VP9", 90000, 1, "profile-id=0", _FEEDBACK)
AV1: Final = Codec(45, "AV1", 90000, 1, "", _FEEDBACK)
#: Payload type -> that of its repairs.
RTX_TYPES: Final = {96: 97, 98: 99, 45: 46}
PICTURES: Final[Mapping[str, Codec]] = {"VP8": VP8, "VP9": VP9, "AV1": AV1}

MID_ID, LEVEL_ID, RID_ID, REPAIRED_ID, WIDE_ID = 1, 2, 3, 4, 5
_SOUND: Final = {MID_ID: MID, LEVEL_ID: AUDIO_LEVEL, WIDE_ID: TRANSPORT_WIDE}
_VIDEO: Final = {
    MID_ID: MID,
    RID_ID: RID,
    REPAIRED_ID: REPAIRED_RID,
    WIDE_ID: TRANSPORT_WIDE,
    DEPENDENCY_ID: DEPENDENCY,
}
_FIELDS: Final = {
    MID: "mid",
    RID: "rid",
    REPAIRED_RID: "repaired_rid",
    AUDIO_LEVEL: "level",
    TRANSPORT_WIDE: "transport_wide",
    DEPENDENCY: "dependency",
}
_READ_AS: Final = {
    "opus": fanout.Codec.OPAQUE,
    "red": fanout.Codec.RED,
    "vp8": fanout.Codec.VP8,
    "h264": fanout.Codec.H264,
    "vp9": fanout.Codec.VP9,
    "av1": fanout.Codec.AV1,
}


def rtx(codec: Codec) -> Codec:
    """Repairs of a codec."""
    return Codec(RTX_TYPES[codec.payload_type], "rtx", 90000, 1, f"apt={codec.payload_type}")


def section(kind: str, mid: str, direction: Any, codecs: list[Codec] | None = None) -> MediaSection:
    """An m-section of a light member; it receives whatever light members send."""
    if codecs is None:
        codecs = [OPUS, RED] if kind == "audio" else [c for p in PICTURES.values() for c in (p, rtx(p))]
    extensions = _SOUND if kind == "audio" else _VIDEO
    return MediaSection(kind, mid, direction, codecs=codecs, extensions=dict(extensions))


def extension_ids(sections: list[MediaSection]) -> ExtensionIds:
    """Those that both ends named."""
    found: dict[str, int] = {}
    for one in sections:
        for number, uri in one.extensions.items():
            if uri in _FIELDS and not one.rejected:
                found[_FIELDS[uri]] = number
    return ExtensionIds(**found)


def read_as(one: MediaSection) -> tuple[dict[int, fanout.Codec], dict[int, int]]:
    """How payloads of a section are read, and payload types of repairs -> of what they repair."""
    codecs = {c.payload_type: _READ_AS[c.name.lower()] for c in one.codecs if c.name.lower() in _READ_AS}
    repairs = {c.payload_type: int(c.parameter("apt") or -1) for c in one.codecs if c.name.lower() == "rtx"}
    return codecs, {rtx_type: pt for rtx_type, pt in repairs.items() if pt in codecs}
