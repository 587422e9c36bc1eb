"""Drives every parser of what comes from the network, in Python, with samples that are changed at random.

`python -m tests.rtc.parser_fuzz COUNT SEED [PARSER ...]`: that many for each parser, or for those named. A
parser may raise what it says that it raises and nothing else. tests/rtc/fanout_fuzz.py does the kernel's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aioice import stun

from rtc import av1, checks, dependency_descriptor, fanout_red, h264, header_extensions, opus, vp8
from rtc.dependency_descriptor import Structure
from rtc.errors import PacketError
from rtc.fanout import FORWARD
from rtc.fanout_twin import PythonFanout
from rtc.invitation import Invitation, InvitationError, new_token
from rtc.rtcp import (
    FullIntraRequest,
    GenericNack,
    Goodbye,
    PictureLossIndication,
    ReceiverEstimate,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize_compound,
)
from rtc.rtp import RtpPacket
from rtc.sdp import SdpError, SessionDescription
from rtc.signalling import ProtocolError, parse_client_message, parse_server_message
from rtc.transport_feedback import TransportFeedback
from rtc.vp9 import Vp9Descriptor
from tests.rtc import fanout_fuzz
from tests.rtc.fanout_call import Call
from tests.rtc.fanout_changes import ALL_IDS

GOLDEN = Path(__file__).parents[1] / "golden"
PASSWORD = "a password of the path"
#: Bytes with a meaning in many formats: none and all bits, ends of lengths, versions, marks of extensions.
TELLING = b"\x00\x01\x0f\x10\x1f\x7f\x80\x8f\x90\xbe\xc0\xde\xf0\xff"


class UndeclaredError(AssertionError):
    """A parser raised what it does not say that it raises; tells the bytes that made it."""


@dataclass(frozen=True)
class Parser:
    read: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]  # what it may raise
    samples: list[bytes]


@dataclass
class Found:
    """Of one parser: samples that it took, and the longest that it computed for one, in seconds."""

    taken: int = 0
    slowest: float = 0.0


def change(random: Random, data: bytearray, samples: list[bytes]) -> None:
    """Up to four changes; half of them among the first bytes, where the lengths are."""
    for _ in range(random.randrange(5)):
        at = random.randrange(len(data) + 1 if random.random() < 0.5 else min(len(data), 24) + 1)
        match random.randrange(8):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + random.randrange(1, 9)]
            case 2:
                data[at:at] = random.randbytes(random.randrange(1, 9))
            case 3:
                data[at:at] = bytes((random.choice(TELLING),)) * random.randrange(1, 65)
            case 4:
                piece = random.choice(samples)
                data[at:at] = piece[at : at + 64]
            case 5 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 6 if at < len(data):
                data[at] = random.randrange(256)
            case _:
                data[at : at + 2] = random.choices(TELLING, k=2)


def fuzz(name: str, parser: Parser, count: int, seed: int) -> Found:
    """Raises UndeclaredError."""
    random, found = Random(seed), Found()
    for _ in range(count):
        data = bytearray(random.choice(parser.samples))
        change(random, data, parser.samples)
        began = time.thread_time()
        try:
            parser.read(bytes(data))
            found.taken += 1
        except parser.declared:
            pass
        except Exception as error:
            raise UndeclaredError(f"{name}: {type(error).__name__} for {bytes(data).hex()}") from error
        found.slowest = max(found.slowest, time.thread_time() - began)
    return found


def feedbacks(random: Random) -> list[bytes]:
    """RTCP of every kind that is read, transport-wide feedback among it."""
    block = ReportBlock(5, 12, -3, 70000, 9, 11, 13)
    found = [
        serialize_compound([SenderReport(1, 2**63 + 5, 3, 4, 5, (block,)), SourceDescription.of(1, "name")]),
        serialize_compound([ReceiverReport(1, (block, block)), PictureLossIndication(1, 2)]),
        serialize_compound([GenericNack(1, 2, (3, 5, 900)), FullIntraRequest(1, ((2, 3),), 4)]),
        serialize_compound([ReceiverEstimate(1, 500_000, (2, 3)), Goodbye((1, 2), b"why")]),
    ]
    for size in (1, 8, 40, 300):
        ticks = 0
        arrivals: list[int | None] = []
        for _ in range(size):
            ticks += random.choice((0, 1, 4, 255, 300))
            arrivals.append(None if random.random() < 0.2 else ticks)
        found.append(TransportFeedback(1, 2, random.randrange(65536), 7, 3, tuple(arrivals)).serialize())
    return found


def stun_requests() -> list[bytes]:
    """Connectivity checks as peers send them, and answers."""
    found = []
    for kind in (stun.Class.REQUEST, stun.Class.RESPONSE, stun.Class.ERROR):
        message = stun.Message(message_method=stun.Method.BINDING, message_class=kind)
        message.attributes["USERNAME"] = "near:far"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 5
        message.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.1", 5)
        message.attributes["USE-CANDIDATE"] = None
        message.attributes["ERROR-CODE"] = (487, "Role conflict")
        message.add_message_integrity(PASSWORD.encode())
        found.append(bytes(message))
    return found


def _check(data: bytes) -> None:
    try:
        checks.user_fragment(data)
    except checks.CheckError:
        pass  # what comes after it must stand these bytes all the same
    checks.authentic(data, PASSWORD)


def _descriptors() -> Callable[[bytes], object]:
    """Each after those before it, whose structures it may refer to."""
    known: list[Structure | None] = [None]

    def read(data: bytes) -> None:
        found = dependency_descriptor.read(data, known[0], 5)
        known[0] = found.structure

    return read


def _plane() -> Callable[[bytes], object]:
    """Whole datagrams through the twin, forwarded to a receiver."""
    call = Call(PythonFanout(clear=True), ALL_IDS)
    peer = call.receiver()
    for video in (True, False):
        stream = call.stream(5 if video else 7, video=video)
        call.fanout.aim(call.destination(peer, 70 + video, video=video, rtx_ssrc=78), stream)

    def read(data: bytes) -> None:
        call.now += 1000
        if len(data) >= 12:
            sound = data[1] & 0x7F in (111, 63)
            data = data[:8] + (7 if sound else 5).to_bytes(4, "big") + data[12:]
        records = call.fanout.deliver(data, b"A", call.now)
        call.fanout.forward(bytes((FORWARD,)) * len(records), call.now)
        call.fanout.flush(-1, call.now)
        call.fanout.take()

    return read


def _extensions(data: bytes) -> None:
    for decode in (
        header_extensions.decode_audio_level,
        header_extensions.decode_abs_send_time,
        header_extensions.decode_transport_wide,
        header_extensions.decode_mid,
    ):
        try:
            decode(data)
        except PacketError:
            continue


def _h264(data: bytes) -> None:
    h264.starts_key_frame(data)
    h264.depacketize(data)


def _vp8(data: bytes) -> None:
    vp8.starts_key_frame(data)
    vp8.frame_height(data)
    vp8.Vp8Descriptor.parse(data)
    vp8.rewrite_vp8(data, 5, 6)


def _opus(data: bytes) -> None:
    opus.is_dtx(data)
    opus.is_stereo(data)
    opus.duration(data)


def _golden(*folders: str) -> list[bytes]:
    found = [path.read_bytes() for folder in folders for path in sorted((GOLDEN / folder).iterdir())]
    assert found
    return found


def parsers(seed: int) -> dict[str, Parser]:
    """All of them, with samples of what they read."""
    random, known = Random(seed), fanout_fuzz.samples(seed)
    packet = (PacketError,)
    invitations = [
        Invitation("192.0.2.7", 8443, new_token(), secure=True),
        Invitation("2001:db8::7", 80, new_token(), "room"),
    ]
    pasted = [one.link.encode() for one in invitations] + [
        Invitation("10.0.0.1", 1, new_token()).code.encode()
    ]
    return {
        "rtp": Parser(RtpPacket.parse, packet, known["rtp"]),
        "plane": Parser(_plane(), (), known["call"]),
        "rtcp": Parser(parse_compound, packet, feedbacks(random)),
        "vp8": Parser(_vp8, packet, known["vp8"]),
        "vp9": Parser(Vp9Descriptor.parse, packet, known["vp9"]),
        "av1": Parser(av1.starts_sequence, packet, known["av1"]),
        "h264": Parser(_h264, packet, known["h264"]),
        "dependency": Parser(_descriptors(), packet, known["dependency"]),
        "red": Parser(fanout_red.primary, (), known["red"]),
        "opus": Parser(_opus, packet, [bytes((code,)) + bytes(20) for code in (0, 0x3F, 0x7B, 0xFF)]),
        "extensions": Parser(_extensions, (), [b"\x80", b"\0\1\2", b"\0\1", b"mid"]),
        "stun": Parser(_check, (checks.CheckError,), stun_requests()),
        "sdp": Parser(
            lambda data: SessionDescription.parse(data.decode("latin-1")), (SdpError,), _golden("sdp")
        ),
        "client": Parser(
            parse_client_message,
            (ProtocolError,),
            _golden("protocol/from-client", "protocol/refused-from-client"),
        ),
        "server": Parser(
            parse_server_message,
            (ProtocolError,),
            _golden("protocol/from-server", "protocol/refused-from-server"),
        ),
        "invitation": Parser(
            lambda data: Invitation.parse(data.decode("latin-1")), (InvitationError,), pasted
        ),
    }


def main() -> None:
    """See the module."""
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    known = parsers(seed)
    for name in sys.argv[3:] or known:
        began = time.monotonic()
        found = fuzz(name, known[name], count, seed)
        print(
            f"{name}: {count} changed samples, {found.taken} taken, slowest {found.slowest * 1000:.1f} ms, "
            f"{time.monotonic() - began:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
