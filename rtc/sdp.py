"""Session descriptions (RFC 8866) as far as WebRTC needs them: bundled, one stream a section (RFC 9429).

Parsing takes any text, costs time in proportion to its length, and raises SdpError for what cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from rtc.sdp_section import (
    MAX_ENCODINGS,
    Candidate,
    Codec,
    Direction,
    MediaSection,
    SdpError,
    TransportParameters,
    parse_m_line,
    section_attribute,
    section_lines,
)
from rtc.signalling.base import MAX_STREAMS

__all__ = [
    "MAX_ENCODINGS",
    "Candidate",
    "Codec",
    "Direction",
    "MediaSection",
    "SdpError",
    "SessionDescription",
    "TransportParameters",
]

#: Attribute lines of one section; a browser's longest has about 150.
_MAX_LINES_PER_SECTION = 600
_TOKEN = re.compile(r"[A-Za-z0-9+/_.:-]{1,256}")


@dataclass(slots=True)
class SessionDescription:
    """A whole offer or answer; one transport carries all sections."""

    transport: TransportParameters
    sections: list[MediaSection] = field(default_factory=list)

    def section(self, mid: str) -> MediaSection | None:
        return next((s for s in self.sections if s.mid == mid), None)

    @classmethod
    def parse(cls, text: str) -> SessionDescription:
        """Reads SDP text; raises SdpError."""
        if not text.startswith("v=0"):
            raise SdpError("It does not begin with v=0.")
        description = cls(TransportParameters())
        lines = _Lines(text)
        for block in lines.blocks():
            if len(description.sections) >= MAX_STREAMS:
                raise SdpError(f"It has more than {MAX_STREAMS} sections.")
            section = _parse_section(block, description.transport)
            if section is not None:
                description.sections.append(section)
        _require_usable(description)
        return description

    def __str__(self) -> str:
        """SDP text, lines ended by CRLF."""
        mids = " ".join(s.mid for s in self.sections if not s.rejected)
        lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        if self.transport.ice_lite:
            lines.append("a=ice-lite")
        lines += [f"a=group:BUNDLE {mids}", "a=extmap-allow-mixed", "a=msid-semantic: WMS *"]
        first = next((s for s in self.sections if not s.rejected), None)
        for section in self.sections:
            # Bundled, so the addresses are told once (RFC 9143 section 7.1.3): said in each section they
            # would make the answer to a large meeting too long for one message.
            candidates = self.transport.candidates if section is first else []
            lines += section_lines(section, self.transport, candidates)
        return "\r\n".join(lines) + "\r\n"


class _Lines:
    """Splits SDP into the session block and one block for each m= line."""

    def __init__(self, text: str) -> None:
        # A lone CR ends a line too: else it could smuggle a line of its own into what we write again.
        self._lines = re.split(r"\r\n?|\n", text)

    def blocks(self) -> Iterator[list[str]]:
        block: list[str] = []
        for line in self._lines:
            if line.startswith("m="):
                yield block
                block = []
            block.append(line)
            if len(block) > _MAX_LINES_PER_SECTION:
                raise SdpError(f"A section has more than {_MAX_LINES_PER_SECTION} lines.")
        yield block


def _parse_section(block: list[str], transport: TransportParameters) -> MediaSection | None:
    """Reads one block; what concerns the transport goes into `transport`. None for the session block."""
    section: MediaSection | None = None
    types: list[int] = []
    maps: dict[int, Codec] = {}
    if block and block[0].startswith("m="):
        section, types = parse_m_line(block[0])
    for line in block:
        if not line.startswith("a="):
            continue
        key, _, value = line[2:].partition(":")
        if _transport_attribute(transport, key, value) or section is None:
            continue
        section_attribute(section, maps, key, value)
    if section is not None:
        section.codecs = [maps[t] for t in types if t in maps]
        if not _TOKEN.fullmatch(section.mid) or len(section.mid) > 16:
            raise SdpError("A section has no usable a=mid.")
    return section


def _transport_attribute(transport: TransportParameters, key: str, value: str) -> bool:
    match key:
        case "ice-ufrag":
            transport.ufrag = transport.ufrag or value
        case "ice-pwd":
            transport.password = transport.password or value
        case "ice-lite":
            transport.ice_lite = True
        case "fingerprint":
            algorithm, _, digest = value.partition(" ")
            if not transport.fingerprint[0]:
                transport.fingerprint = (algorithm.lower(), digest.strip())
        case "setup":
            transport.setup = value
        case "candidate":
            candidate = Candidate.parse(value)  # a bundle may repeat them in each section
            if candidate not in transport.candidates and len(transport.candidates) < 64:
                transport.candidates.append(candidate)
        case _:
            return False
    return True


def _require_usable(description: SessionDescription) -> None:
    transport = description.transport
    if not description.sections:
        raise SdpError("It has no m= section.")
    if len({s.mid for s in description.sections}) != len(description.sections):
        raise SdpError("Two sections have the same a=mid.")
    if not (4 <= len(transport.ufrag) <= 256 and 22 <= len(transport.password) <= 256):
        raise SdpError("It has no usable ICE user fragment and password.")
    if not _TOKEN.fullmatch(transport.ufrag) or not _TOKEN.fullmatch(transport.password):
        raise SdpError("Its ICE user fragment or password has characters that are not allowed.")
    if transport.fingerprint[0] not in ("sha-256", "sha-384", "sha-512"):
        raise SdpError("It has no DTLS fingerprint by SHA-256 or better.")
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31,63}", transport.fingerprint[1]):
        raise SdpError("Its DTLS fingerprint is malformed.")
