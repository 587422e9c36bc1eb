"""Session descriptions (RFC 8866) as far as WebRTC needs them: bundled, one stream a section (RFC 9429).

Parsing takes any text, costs time in proportion to its length, and raises SdpError for what cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from rtc.signalling.base import MAX_STREAMS

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")

#: Attribute lines of one section; a browser's longest has about 150.
_MAX_LINES_PER_SECTION = 600
_MAX_CODECS = 100
_TOKEN = re.compile(r"[A-Za-z0-9+/_.:-]{1,256}")


class SdpError(ValueError):
    """The text is no session description that can be used; str() says why."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type. `name` as registered, e.g. VP8, H264, opus, rtx."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""  # the value of a=fmtp
    feedback: tuple[str, ...] = ()

    def parameter(self, key: str) -> str | None:
        """The value of `key` in the fmtp line, or None."""
        for item in self.parameters.split(";"):
            name, _, value = item.strip().partition("=")
            if name.lower() == key.lower():
                return value
        return None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ICE candidate of type host (RFC 8839)."""

    host: str
    port: int
    priority: int = 2130706431
    foundation: str = "1"
    component: int = 1
    protocol: str = "udp"
    type: str = "host"

    def __str__(self) -> str:
        return (
            f"{self.foundation} {self.component} {self.protocol} {self.priority} "
            f"{self.host} {self.port} typ {self.type}"
        )

    @classmethod
    def parse(cls, value: str) -> Candidate:
        parts = value.split()
        if len(parts) < 8 or parts[6] != "typ":
            raise SdpError("A candidate line is malformed.")
        return cls(
            foundation=parts[0],
            component=_number(parts[1], 256),
            protocol=parts[2].lower(),
            priority=_number(parts[3], 2**32 - 1),
            host=parts[4],
            port=_number(parts[5], 65535),
            type=parts[7],
        )


@dataclass(slots=True)
class TransportParameters:
    """What one end tells the other about its ICE and DTLS (RFC 8839, RFC 8842)."""

    ufrag: str = ""
    password: str = ""
    fingerprint: tuple[str, str] = ("", "")  # algorithm, value
    setup: str = "actpass"
    candidates: list[Candidate] = field(default_factory=list)
    ice_lite: bool = False


@dataclass(slots=True)
class MediaSection:
    """One m= section."""

    kind: str  # audio, video, application
    mid: str
    direction: Direction = "sendrecv"
    codecs: list[Codec] = field(default_factory=list)
    extensions: dict[int, str] = field(default_factory=dict)  # id -> URI
    ssrcs: list[int] = field(default_factory=list)
    rtx: dict[int, int] = field(default_factory=dict)  # media SSRC -> its RTX SSRC (FID)
    cname: str = ""
    stream_id: str = ""
    rejected: bool = False
    sctp_port: int | None = None

    def codec(self, name: str) -> Codec | None:
        """The first codec of this name, in the order of preference."""
        return next((c for c in self.codecs if c.name.lower() == name.lower()), None)

    def rtx_for(self, payload_type: int) -> Codec | None:
        """The RTX payload type that repairs `payload_type` (RFC 4588)."""
        for codec in self.codecs:
            if codec.name.lower() == "rtx" and codec.parameter("apt") == str(payload_type):
                return codec
        return None

    def extension_id(self, uri: str) -> int | None:
        return next((number for number, name in self.extensions.items() if name == uri), None)


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
        lines += [f"a=group:BUNDLE {mids}", "a=msid-semantic: WMS *"]
        first = next((s for s in self.sections if not s.rejected), None)
        for section in self.sections:
            # Bundled, so the addresses are told once (RFC 9143 section 7.1.3): said in each section they
            # would make the answer to a large meeting too long for one message.
            candidates = self.transport.candidates if section is first else []
            lines += _section_lines(section, self.transport, candidates)
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
        section, types = _parse_m_line(block[0])
    # What a payload type is must be known before what is said of it: Firefox sorts its lines by the alphabet.
    for line in sorted(block, key=lambda line: not line.startswith("a=rtpmap:")):
        if not line.startswith("a="):
            continue
        key, _, value = line[2:].partition(":")
        if _transport_attribute(transport, key, value) or section is None:
            continue
        _section_attribute(section, maps, key, value)
    if section is not None:
        section.codecs = [maps[t] for t in types if t in maps]
        if not _TOKEN.fullmatch(section.mid) or len(section.mid) > 16:
            raise SdpError("A section has no usable a=mid.")
    return section


def _parse_m_line(line: str) -> tuple[MediaSection, list[int]]:
    parts = line[2:].split()
    if len(parts) < 4 or parts[0] not in ("audio", "video", "application"):
        raise SdpError("An m= line is malformed.")
    section = MediaSection(kind=parts[0], mid="", rejected=_number(parts[1], 65535) == 0)
    if parts[0] == "application":
        return section, []
    return section, [_number(p, 127) for p in parts[3 : 3 + _MAX_CODECS]]


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


def _section_attribute(section: MediaSection, maps: dict[int, Codec], key: str, value: str) -> None:
    match key:
        case "mid":
            section.mid = value.strip()
        case "rtpmap":
            number, _, rest = value.partition(" ")
            name, *numbers = rest.strip().split("/")
            pt = _number(number, 127)
            maps[pt] = Codec(
                payload_type=pt,
                name=name,
                clock_rate=_number(numbers[0], 1_000_000) if numbers else 0,
                channels=_number(numbers[1], 255) if len(numbers) > 1 else 1,
            )
        case "fmtp" | "rtcp-fb":
            number, _, rest = value.partition(" ")
            _extend_codec(maps, key, number, rest.strip())
        case "extmap":
            number, _, rest = value.partition(" ")
            words = rest.split()
            if words:
                section.extensions[_number(number.partition("/")[0], 255)] = words[0]
        case "ssrc":
            number, _, rest = value.partition(" ")
            ssrc = _number(number, 2**32 - 1)
            if ssrc not in section.ssrcs and len(section.ssrcs) < 32:
                section.ssrcs.append(ssrc)
            if rest.startswith("cname:"):
                section.cname = rest.removeprefix("cname:")[:255]
        case "ssrc-group":
            words = value.split()
            if len(words) == 3 and words[0] == "FID" and len(section.rtx) < 16:
                section.rtx[_number(words[1], 2**32 - 1)] = _number(words[2], 2**32 - 1)
        case "msid":
            section.stream_id = value.split(maxsplit=1)[0] if value.split() else ""
        case "bundle-only":
            # Port 0 then means "in the bundle or not at all": so Firefox offers (RFC 9143 section 6).
            section.rejected = False
        case "sctp-port":
            section.sctp_port = _number(value, 65535)
        case _ if key in _DIRECTIONS:
            section.direction = key


def _extend_codec(maps: dict[int, Codec], key: str, number: str, rest: str) -> None:
    wanted = list(maps) if number == "*" else [_number(number, 127)]
    for pt in wanted:
        old = maps.get(pt)
        if old is None:
            continue
        parameters, feedback = old.parameters, old.feedback
        if key == "fmtp":
            parameters = rest
        elif len(feedback) < 32:
            feedback = (*feedback, rest)
        maps[pt] = Codec(pt, old.name, old.clock_rate, old.channels, parameters, feedback)


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


def _section_lines(
    section: MediaSection, transport: TransportParameters, candidates: list[Candidate]
) -> Iterator[str]:
    port = 0 if section.rejected else 9
    if section.kind == "application":
        yield f"m=application {port} UDP/DTLS/SCTP webrtc-datachannel"
    else:
        types = " ".join(str(c.payload_type) for c in section.codecs) or "0"
        yield f"m={section.kind} {port} UDP/TLS/RTP/SAVPF {types}"
    yield "c=IN IP4 0.0.0.0"
    yield f"a=mid:{section.mid}"
    if section.rejected:
        yield "a=inactive"
        return
    yield f"a=ice-ufrag:{transport.ufrag}"
    yield f"a=ice-pwd:{transport.password}"
    yield f"a=fingerprint:{transport.fingerprint[0]} {transport.fingerprint[1]}"
    yield f"a=setup:{transport.setup}"
    for candidate in candidates:
        yield f"a=candidate:{candidate}"
    if candidates:
        yield "a=end-of-candidates"
    if section.kind == "application":
        yield f"a=sctp-port:{section.sctp_port or 5000}"
        yield "a=max-message-size:65536"
        return
    yield from _stream_lines(section)


def _stream_lines(section: MediaSection) -> Iterator[str]:
    yield f"a={section.direction}"
    yield "a=rtcp-mux"
    yield "a=rtcp-rsize"
    for number, uri in section.extensions.items():
        yield f"a=extmap:{number} {uri}"
    for codec in section.codecs:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
        if codec.parameters:
            yield f"a=fmtp:{codec.payload_type} {codec.parameters}"
        for item in codec.feedback:
            yield f"a=rtcp-fb:{codec.payload_type} {item}"
    if section.stream_id:
        yield f"a=msid:{section.stream_id} {section.stream_id}-{section.kind}"
    for ssrc, rtx in section.rtx.items():
        yield f"a=ssrc-group:FID {ssrc} {rtx}"
    for ssrc in section.ssrcs:
        yield f"a=ssrc:{ssrc} cname:{section.cname or 'hearth'}"


def _number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > most:
        raise SdpError(f"A number is malformed or larger than {most}.")
    return int(text)
