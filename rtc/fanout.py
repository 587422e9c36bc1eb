"""The forwarding plane: datagrams come in, are opened, rewritten for each receiver, sealed and sent.

Two implementations stand behind `Fanout`: the C kernel (`rtc/_fanout`, built through cffi) and its twin in
Python (`rtc/fanout_twin.py`), which is the reference and serves where the kernel is not built. Both give the
same bytes for the same calls; tests/rtc/test_fanout_differential.py holds them to it. docs/fanout.md tells
the rules that both follow to the letter.

Decisions are made outside, once a packet: `receive` gives records, the router answers with a verdict for
each, `forward` carries it out for all destinations, `flush` sends. What changes rarely (who gets what, which
layer) is told when it changes. Times are integers in microseconds of one monotonic clock. Handles are small
ints; a handle that is not open raises ValueError. Key material goes in and never comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Final, NamedTuple, Protocol

from rtc.observation import Attention, Observation

#: Datagrams of one `receive`. More share the cost of a call; fewer keep the others waiting less.
BATCH: Final = 64
#: Bytes of the largest datagram that is taken; longer ones are counted and dropped.
MAX_DATAGRAM: Final = 1500
#: Segments of one GSO send. More cost less CPU; a burst of many overflows a receiver's buffer.
MAX_SEGMENTS: Final = 8
#: Bytes of padding with which a packet of video is made as large as its neighbours, so that they leave in one
#: GSO send; packetizers make parts that differ by one. More joins more and sends more. And bytes of the
#: largest payload up to which that is done: the rest of the packet must still fit in a datagram.
MAX_EVENING: Final = 4
EVEN_BYTES: Final = 1300
#: Packets of video kept for repair, of each sending peer, and for how long in microseconds.
CACHE_PACKETS: Final = 512
CACHE_AGE: Final = 1_500_000
#: Packets whose numbers each destination remembers, to find them again in the cache.
HISTORY_PACKETS: Final = 1024
#: Repairs a second to one destination, and at once. A peer that asks for everything again gets no more.
REPAIRS_PER_SECOND: Final = 400
#: Packets waiting for their turn to one peer; the next one is dropped and counted.
PACER_PACKETS: Final = 400
#: Microseconds of its rate that a peer may be ahead. More means longer bursts, less means waiting for a tick.
PACER_BURST: Final = 10_000
#: Microseconds for which a packet may wait for its turn; then it is dropped, and is there to be repaired.
#: More carries larger key frames over a slow link, and makes the picture as much later.
PACER_AGE: Final = 300_000
#: Records of arrivals and of what was sent that are kept for transport-wide feedback, of each peer.
ARRIVALS: Final = 4096
SENT_PACKETS: Final = 8192
#: SSRCs that one peer may send under; what comes under more is dropped.
MAX_INCOMING_SSRCS: Final = 64
#: Datagrams a second, and at once, that are neither media nor from a peer (checks of strangers), and those
#: of each peer that are not media. More is dropped, so that a flood costs no more than this.
STRANGERS_PER_SECOND: Final = 2000
OTHERS_PER_SECOND: Final = 400

DROP: Final = 0
FORWARD: Final = 1


class Profile(IntEnum):
    """SRTP protection profiles (RFC 5764, RFC 7714)."""

    AES_128_CM_SHA1_80 = 1
    AES_128_GCM = 2
    AES_256_GCM = 3

    @property
    def key_bytes(self) -> int:
        return 32 if self is Profile.AES_256_GCM else 16

    @property
    def tag_bytes(self) -> int:
        """What sealing adds to a packet of RTP."""
        return 10 if self is Profile.AES_128_CM_SHA1_80 else 16

    @property
    def salt_bytes(self) -> int:
        return 14 if self is Profile.AES_128_CM_SHA1_80 else 12


class Codec(IntEnum):
    """How a payload is read. OPAQUE (Opus above all) is passed on as it is."""

    OPAQUE = 0
    RED = 1  # RFC 2198: the payload types inside are those of OPAQUE
    VP8 = 2
    H264 = 3
    VP9 = 4
    AV1 = 5


class Kind(IntEnum):
    """What a datagram is."""

    OTHER = 0  # STUN from anywhere, DTLS from a peer's address
    RTP = 1
    RTCP = 2


class Flag(IntFlag):
    """What is known of a packet of RTP."""

    MARKER = 1
    REPAIRED = 2  # came as a retransmission
    EMPTY = 4  # padding only
    FRAME_START = 8
    FRAME_END = 16
    KEY_START = 32  # the first packet of a key frame
    SWITCH_UP = 64  # a receiver of lower temporal layers can go up to this one's here
    VOICE = 128
    DESCRIBED = 256  # carries a dependency descriptor


class Record(NamedTuple):
    """One datagram of a batch; its place in the batch is its number."""

    kind: int
    codec: int
    payload_type: int  # of the original where it came as a retransmission
    temporal: int
    spatial: int
    level: int  # -dBov, 255 where the packet does not say
    flags: int
    sequence: int
    size: int  # bytes of payload
    timestamp: int
    ssrc: int
    peer: int  # -1: a stranger
    stream: int  # -1: nobody opened a stream for this SSRC


#: How the kernel lays out a record.
RECORD: Final = Struct("<BBBBBBHHHIIii")


class StreamStatistics(NamedTuple):
    """How a stream arrives (RFC 3550 appendix A): jitter in timestamp units times 16."""

    packets: int
    octets: int
    base_sequence: int
    highest_sequence: int  # extended by the count of wraps
    jitter_q4: int
    last_arrival: int


class DestinationState(NamedTuple):
    """What a destination got; `stream` is -1 while nothing flows. out timestamp = in + timestamp_offset."""

    stream: int
    packets: int
    octets: int  # of payload
    timestamp_offset: int
    last_timestamp: int  # as sent
    repairs: int
    dropped: int  # of its stream, but not for this receiver: a layer, or too old
    last_sequence: int  # the highest number as sent, 0 before the first


class SentPacket(NamedTuple):
    """What was sent under a transport-wide number."""

    time: int
    size: int  # bytes of UDP payload
    cluster: int  # of a probe, 0 for ordinary packets


@dataclass(frozen=True, slots=True)
class ExtensionIds:
    """Header extension ids of a peer's path, both ways (RFC 9143: one meaning each); 0 where not agreed."""

    mid: int = 0
    rid: int = 0
    repaired_rid: int = 0
    level: int = 0
    send_time: int = 0
    transport_wide: int = 0
    dependency: int = 0


class MasterKey:
    """An SRTP master key with its salt. Has no printable form."""

    __slots__ = ("key", "salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self.key, self.salt = key, salt

    def __repr__(self) -> str:
        return "MasterKey(...)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not written down")


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What arrives under one SSRC.

    `group` is the same number for the layers of one source, whose clocks are then aligned by sender reports.
    """

    ssrc: int
    clock_rate: int
    video: bool
    codecs: Mapping[int, Codec]  # payload type -> how it is read
    rtx_types: Mapping[int, int] = field(default_factory=dict)  # RTX payload type -> payload type
    rtx_ssrc: int = 0
    group: int = 0


@dataclass(frozen=True, slots=True)
class DestinationPlan:
    """What leaves under one SSRC. `codecs`: codec -> (payload type, RTX payload type or 0)."""

    ssrc: int
    rtx_ssrc: int  # 0: no repair
    clock_rate: int
    video: bool
    codecs: Mapping[Codec, tuple[int, int]]
    mid: bytes = b""


class Fanout(Protocol):
    """The forwarding plane of one process. Not for use by two threads at once."""

    # Peers: whoever has an encrypted path to us.

    def open_peer(self) -> int: ...

    def set_keys(self, peer: int, profile: Profile, receive: MasterKey, send: MasterKey) -> None:
        """From now on its media is opened and sealed. A second call begins anew."""

    def set_extensions(self, peer: int, ids: ExtensionIds) -> None: ...

    def route(self, address: bytes, peer: int) -> None:
        """Datagrams from `address` (a sockaddr, or any key of 1..32 bytes) are that peer's; -1: nobody's."""

    def set_address(self, peer: int, address: bytes) -> None:
        """Where datagrams to the peer go; b"" nowhere. No sockaddr of 16 or 28 bytes: for `take`."""

    def set_pace(self, peer: int, rate: int) -> None:
        """Bytes a second at most, 0 without limit. Sound and RTCP are counted but never wait."""

    def close_peer(self, peer: int) -> None:
        """Its streams and destinations end with it."""

    # Streams: what a peer sends. Destinations: what a peer gets.

    def open_stream(self, peer: int, plan: StreamPlan) -> int: ...

    def set_repair_ssrc(self, stream: int, rtx_ssrc: int) -> None: ...

    def set_clock(self, stream: int, sender_time: int, timestamp: int) -> None:
        """A sender report: `timestamp` was at `sender_time`, microseconds of the sender's clock."""

    def restart_stream(self, stream: int) -> None:
        """After a pause: what comes next follows what was sent last, without a gap."""

    def close_stream(self, stream: int) -> None: ...

    def open_destination(self, peer: int, plan: DestinationPlan) -> int: ...

    def aim(
        self, destination: int, stream: int, *, spatial: int = 7, temporal: int = 7, cut: bool = False
    ) -> None:
        """What the destination shall get: `stream` (-1 nothing) up to those layers.

        Video goes over at the next key frame of `stream`; until then what flows goes on, unless `cut`.
        """

    def close_destination(self, destination: int) -> None: ...

    # Packets.

    def receive(self, fd: int, now: int) -> Sequence[Record]:
        """Up to BATCH datagrams of a non-blocking socket. The batch lives until the next one."""

    def deliver(self, data: bytes, address: bytes, now: int) -> Sequence[Record]:
        """One datagram that came another way; a batch of its own."""

    def adopt(self, index: int, stream: int, now: int) -> Record:
        """The record anew, now that a stream was opened for its SSRC (or its SSRC made a repair SSRC)."""

    def packet(self, index: int) -> bytes:
        """The datagram of a record: decrypted RTP (a repeat as the original) or RTCP, or as it came."""

    def address(self, index: int) -> bytes:
        """Where it came from."""

    def forward(self, verdicts: bytes, now: int) -> None:
        """One DROP or FORWARD for each record of the batch."""

    def repair(self, destination: int, sequences: Sequence[int], now: int) -> int:
        """Sends again what is still there of these numbers, as RTX; how many."""

    def probe(self, peer: int, size: int, cluster: int, now: int) -> int:
        """Sends at least `size` bytes of RTX, the latest packets of its destinations or padding; how many."""

    def send_rtp(self, peer: int, packet: bytes, now: int) -> None:
        """Seals a whole packet as it is; without keys it is counted and dropped."""

    def send_rtcp(self, peer: int, packet: bytes, now: int) -> None: ...

    def send_raw(self, peer: int, data: bytes) -> None:
        """DTLS to the peer's address."""

    def send_to(self, address: bytes, data: bytes) -> None:
        """STUN to anybody."""

    def flush(self, fd: int, now: int) -> int:
        """Sends what is ready through socket `fd` (-1: keeps it for `take`); how many are left over."""

    def next_flush(self, now: int) -> int:
        """Microseconds until a paced packet is due, 0 for at once, -1 for none."""

    def take(self) -> list[tuple[bytes, bytes]]:
        """(address, datagram) of all that no socket takes."""

    # What happened.

    def arrivals(self, peer: int) -> list[tuple[int, int]]:
        """(transport-wide number, time) since the last call, in the order of arrival; the latest ARRIVALS."""

    def sent(self, peer: int, first: int, count: int) -> list[SentPacket | None]:
        """What was sent under `count` transport-wide numbers from `first` (16 bits) on."""

    # Transport-wide feedback is taken by `receive` and `deliver`; it makes no record.

    def feedback(self, peer: int, packet: bytes, now: int) -> None:
        """Takes feedback of the peer that came with other RTCP. ValueError where it is none."""

    def listen(self, peer: int, attention: Attention) -> None:
        """When `heard` is to tell of the peer; at first, of each feedback. From now on its receiver reports
        that come alone are only counted: feedback for each packet tells more."""

    def heard(self) -> list[int]:
        """Peers whose feedback is to be looked at by `observe`, each once."""

    def observe(self, peer: int, now: int) -> Observation:
        """What feedback of the peer told since the last call."""

    def stream_statistics(self, stream: int) -> StreamStatistics: ...

    def destination_state(self, destination: int) -> DestinationState: ...

    def counters(self) -> dict[str, int]:
        """By name, those of COUNTERS."""

    def close(self) -> None: ...


#: received, sent: datagrams; feedback: packets of it that were taken; reports: those of receivers whose
#: feedback tells more. The others: what was dropped, and why.
COUNTERS: Final = (
    "received",
    "sent",
    "forwarded",
    "repairs",
    "probes",
    "unknown-address",
    "too-long",
    "malformed",
    "srtp",
    "media-before-keys",
    "too-many-streams",
    "strangers",
    "others",
    "pacer-full",
    "pacer-late",
    "send-buffer-full",
    "unreachable",
    "unsendable",
    "received-octets",
    "sent-octets",
    "feedback",
    "feedback-flood",
    "reports",
)

#: Those of them that count what was not dropped.
TAKEN: Final = frozenset(
    (
        "received",
        "sent",
        "forwarded",
        "repairs",
        "probes",
        "received-octets",
        "sent-octets",
        "feedback",
        "reports",
    )
)
