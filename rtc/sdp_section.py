"""One m= section of a session description (RFC 8866): what it is made of, read and written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")

_MAX_CODECS = 100
#: Encodings of one source: what a server forwards of a simulcast. More would only cost its sender.
MAX_ENCODINGS = 3
#: Names of encodings that are read of one section, those beyond MAX_ENCODINGS and paused ones too.
_MAX_RIDS = 16
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")


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
    tcp_type: str = ""  # of TCP: active, passive or so (RFC 6544 section 4.5)

    def __str__(self) -> str:
        line = (
            f"{self.foundation} {self.component} {self.protocol} {self.priority} "
            f"{self.host} {self.port} typ {self.type}"
        )
        return f"{line} tcptype {self.tcp_type}" if self.tcp_type else line

    @classmethod
    def parse(cls, value: str) -> Candidate:
        parts = value.split()
        if len(parts) < 8 or parts[6] != "typ":
            raise SdpError("A candidate line is malformed.")
        return cls(
            foundation=parts[0],
            component=number(parts[1], 256),
            protocol=parts[2].lower(),
            priority=number(parts[3], 2**32 - 1),
            host=parts[4],
            port=number(parts[5], 65535),
            type=parts[7],
            tcp_type=parts[9][:16] if len(parts) > 9 and parts[8] == "tcptype" else "",
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
    #: Encodings by name, in the order of a=simulcast (RFC 8853); empty where there is one without a name.
    rids: list[str] = field(default_factory=list)
    #: SSRCs of the encodings of one source, where they are named by group SIM instead.
    simulcast: list[int] = field(default_factory=list)
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
        return next((identity for identity, name in self.extensions.items() if name == uri), None)


def parse_m_line(line: str) -> tuple[MediaSection, list[int]]:
    parts = line[2:].split()
    if len(parts) < 4 or parts[0] not in ("audio", "video", "application"):
        raise SdpError("An m= line is malformed.")
    section = MediaSection(kind=parts[0], mid="", rejected=number(parts[1], 65535) == 0)
    if parts[0] == "application":
        return section, []
    return section, [number(p, 127) for p in parts[3 : 3 + _MAX_CODECS]]


def section_attribute(section: MediaSection, maps: dict[int, Codec], key: str, value: str) -> None:
    match key:
        case "mid":
            section.mid = value.strip()
        case "rtpmap":
            digits, _, rest = value.partition(" ")
            name, *numbers = rest.strip().split("/")
            pt = number(digits, 127)
            maps[pt] = Codec(
                payload_type=pt,
                name=name,
                clock_rate=number(numbers[0], 1_000_000) if numbers else 0,
                channels=number(numbers[1], 255) if len(numbers) > 1 else 1,
            )
        case "fmtp" | "rtcp-fb":
            digits, _, rest = value.partition(" ")
            _extend_codec(maps, key, digits, rest.strip())
        case "extmap":
            digits, _, rest = value.partition(" ")
            words = rest.split()
            if words:
                section.extensions[number(digits.partition("/")[0], 255)] = words[0]
        case "ssrc":
            digits, _, rest = value.partition(" ")
            ssrc = number(digits, 2**32 - 1)
            if ssrc not in section.ssrcs and len(section.ssrcs) < 32:
                section.ssrcs.append(ssrc)
            if rest.startswith("cname:"):
                section.cname = rest.removeprefix("cname:")[:255]
        case "ssrc-group":
            _group(section, value.split())
        case "rid" | "simulcast":
            _encoding(section, key, value.strip())
        case "msid":
            section.stream_id = value.split(maxsplit=1)[0] if value.split() else ""
        case "sctp-port":
            section.sctp_port = number(value, 65535)
        case _ if key in _DIRECTIONS:
            section.direction = key


def _extend_codec(maps: dict[int, Codec], key: str, digits: str, rest: str) -> None:
    wanted = list(maps) if digits == "*" else [number(digits, 127)]
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


def _group(section: MediaSection, words: list[str]) -> None:
    """SSRCs that belong together: a stream and its repairs, or the encodings of one source (RFC 5576)."""
    if len(words) == 3 and words[0] == "FID" and len(section.rtx) < 16:
        section.rtx[number(words[1], 2**32 - 1)] = number(words[2], 2**32 - 1)
    elif words[:1] == ["SIM"] and not section.simulcast:
        section.simulcast = [number(word, 2**32 - 1) for word in words[1 : 1 + MAX_ENCODINGS]]


def _encoding(section: MediaSection, key: str, value: str) -> None:
    """`rid:a send`, and then `simulcast:send a;b;c`, whose order counts. Of alternatives the first is taken,
    paused or not."""
    if key == "rid":
        name = value.split(maxsplit=1)[0] if value else ""
        if _RID.fullmatch(name) and name not in section.rids and len(section.rids) < _MAX_RIDS:
            section.rids.append(name)
        return
    listed = value.partition(" ")[2].split(" ")[0].split(";")[:_MAX_RIDS]
    named = [alternatives.split(",")[0].lstrip("~") for alternatives in listed]
    section.rids = [rid for rid in dict.fromkeys(named) if rid in section.rids]


def section_lines(
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
    for identity, uri in section.extensions.items():
        yield f"a=extmap:{identity} {uri}"
    for codec in section.codecs:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
        if codec.parameters:
            yield f"a=fmtp:{codec.payload_type} {codec.parameters}"
        for item in codec.feedback:
            yield f"a=rtcp-fb:{codec.payload_type} {item}"
    if section.stream_id:
        yield f"a=msid:{section.stream_id} {section.stream_id}-{section.kind}"
    if section.rids:
        way = "send" if section.direction.startswith("send") else "recv"
        for rid in section.rids:
            yield f"a=rid:{rid} {way}"
        yield f"a=simulcast:{way} {';'.join(section.rids)}"
    if len(section.simulcast) > 1:
        yield f"a=ssrc-group:SIM {' '.join(map(str, section.simulcast))}"
    for ssrc, rtx in section.rtx.items():
        yield f"a=ssrc-group:FID {ssrc} {rtx}"
    for ssrc in section.ssrcs:
        yield f"a=ssrc:{ssrc} cname:{section.cname or 'hearth'}"


def number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > most:
        raise SdpError(f"A number is malformed or larger than {most}.")
    return int(text)
