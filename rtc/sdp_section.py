"""One m= section of a session description (RFC 8866): what it is made of, read and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from rtc.sdp_simulcast import MAX_ENCODINGS, MAX_RIDS, Rid, Simulcast, Way
from rtc.sdp_text import SdpError, number

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")

#: Of one section: payload types, SSRCs, pairs of an SSRC and its repairs, and kinds of feedback of one codec.
#: Three layers with their repairs are six SSRCs; browsers offer up to 50 payload types.
_MAX_CODECS, _MAX_SSRCS, _MAX_PAIRS, _MAX_FEEDBACK = 100, 32, 16, 32


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
    #: Encodings by name that go the way of the section, in the order of a=simulcast (RFC 8853); empty where
    #: there is one without a name.
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


class SectionReader:
    """Reads one block of lines. What belongs to another line is put there at the end: attributes come in any
    order (RFC 8866 section 5.13), and Firefox sorts them by name."""

    def __init__(self, m_line: str) -> None:
        parts = m_line[2:].split()
        if len(parts) < 4 or parts[0] not in ("audio", "video", "application"):
            raise SdpError("An m= line is malformed.")
        self.section = MediaSection(kind=parts[0], mid="", rejected=number(parts[1], 65535) == 0)
        media = parts[3 : 3 + _MAX_CODECS] if parts[0] != "application" else []
        self._types = [number(p, 127) for p in media]
        self._codecs: dict[int, Codec] = {}
        self._parameters: dict[int, str] = {}
        self._feedback: list[tuple[int | None, str]] = []  # None: of all payload types
        self._rids: list[Rid] = []
        self._simulcast = Simulcast()

    def attribute(self, key: str, value: str) -> None:
        section = self.section
        match key:
            case "mid":
                section.mid = value.strip()
            case "bundle-only":
                # Port 0 then means "in the bundle or not at all": so Firefox offers (RFC 9143 section 6).
                section.rejected = False
            case "rtpmap" | "fmtp" | "rtcp-fb":
                self._of_codec(key, value)
            case "extmap":
                digits, _, rest = value.partition(" ")
                words = rest.split()
                if words:
                    section.extensions[number(digits.partition("/")[0], 255)] = words[0]
            case "ssrc":
                digits, _, rest = value.partition(" ")
                ssrc = number(digits, 2**32 - 1)
                if ssrc not in section.ssrcs and len(section.ssrcs) < _MAX_SSRCS:
                    section.ssrcs.append(ssrc)
                if rest.startswith("cname:"):
                    section.cname = rest.removeprefix("cname:")[:255]
            case "ssrc-group":
                self._group(value.split())
            case "rid" | "simulcast":
                self._encoding(key, value)
            case "msid":
                section.stream_id = value.split(maxsplit=1)[0] if value.split() else ""
            case "sctp-port":
                section.sctp_port = number(value, 65535)
            case _ if key in _DIRECTIONS:
                section.direction = key

    def finish(self) -> MediaSection:
        """The section, when all lines are read."""
        section = self.section
        section.codecs = [self._whole(self._codecs[t]) for t in self._types if t in self._codecs]
        way: Way = "send" if section.direction.startswith("send") else "recv"
        declared = list(dict.fromkeys(rid.name for rid in self._rids if rid.way == way))
        section.rids = self._simulcast.names(way, declared) or declared
        return section

    def _of_codec(self, key: str, value: str) -> None:
        digits, _, rest = value.partition(" ")
        if key == "rtcp-fb":
            self._feedback.append((None if digits == "*" else number(digits, 127), rest.strip()))
            return
        payload_type = number(digits, 127)
        if key == "fmtp":
            self._parameters[payload_type] = rest.strip()
            return
        name, *numbers = rest.strip().split("/")
        self._codecs[payload_type] = Codec(
            payload_type=payload_type,
            name=name,
            clock_rate=number(numbers[0], 1_000_000) if numbers else 0,
            channels=number(numbers[1], 255) if len(numbers) > 1 else 1,
        )

    def _whole(self, codec: Codec) -> Codec:
        payload_type = codec.payload_type
        feedback = tuple(item for whose, item in self._feedback if whose in (None, payload_type))
        return replace(
            codec,
            parameters=self._parameters.get(payload_type, ""),
            feedback=feedback[:_MAX_FEEDBACK],
        )

    def _encoding(self, key: str, value: str) -> None:
        if key == "simulcast":
            self._simulcast = Simulcast.parse(value)
            return
        if len(self._rids) >= MAX_RIDS:
            raise SdpError(f"A section declares more than {MAX_RIDS} encodings.")
        self._rids.append(Rid.parse(value))

    def _group(self, words: list[str]) -> None:
        """SSRCs that belong together: a stream and its repairs, or the encodings of one source (RFC 5576)."""
        section = self.section
        if len(words) == 3 and words[0] == "FID" and len(section.rtx) < _MAX_PAIRS:
            section.rtx[number(words[1], 2**32 - 1)] = number(words[2], 2**32 - 1)
        elif words[:1] == ["SIM"] and not section.simulcast:
            section.simulcast = [number(word, 2**32 - 1) for word in words[1 : 1 + MAX_ENCODINGS]]


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
