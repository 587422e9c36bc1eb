"""What a path carries, as the client learns and tells it; and the media path that obeys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from client.call import media_path as media_path_module
from client.call.media_path import MediaPath
from client.call.offer import TRANSPORT_WIDE_EXTENSION, ReceiveSections, SendSources, build_offer
from client.call.path_control import (
    LOWER_PAUSE,
    MIN_PICTURE,
    RAISE_PAUSE,
    SOUND_RATE,
    START_RATE,
    PathControl,
)
from client.studio.messages import SoundEncoded, VideoEncoded
from rtc.header_extensions import TRANSPORT_WIDE, decode_transport_wide, encode_transport_wide
from rtc.rtcp import GenericNack, ReceiverEstimate, TransportFeedback, parse_compound
from rtc.rtp import RtpPacket
from rtc.sdp import SessionDescription, TransportParameters
from rtc.signalling import media
from rtc.transport import Certificate
from rtc.transport_feedback import FeedbackRecorder

CAMERA, RTX, MICROPHONE = 11, 12, 13
ID = 5


def rtp(ssrc: int, size: int = 1000, number: int = 0) -> bytes:
    return RtpPacket(96, number, 0, ssrc, False, bytes(size), extensions={1: b"cam"}).serialize()


def number_of(data: bytes, extension: int = ID) -> int | None:
    value = RtpPacket.parse(data).extensions.get(extension)
    return None if value is None else decode_transport_wide(value)


class FarEnd:
    """Acknowledges what a control sends, over a path that carries `rate` bit/s behind a queue."""

    def __init__(self, control: PathControl, rate: int) -> None:
        self.control, self.rate, self.now = control, rate, 100.0
        self._free = self.now
        self._recorder = FeedbackRecorder(1)
        self._under_way: list[tuple[float, int]] = []
        self.told: list[int] = []
        self.acknowledging = True

    def run(self, seconds: float, sending: int) -> None:
        """Packets of 1,000 bytes at `sending` bit/s, or as the control says if that is less."""
        end, due = self.now + seconds, self.now
        while self.now < end:
            self.now += 0.005
            limit = min([sending, *self.told[-1:]])
            while due <= self.now:
                due += 8 * 1000 / limit
                data = self.control.outgoing(rtp(CAMERA), self.now)
                self._free = max(self._free, self.now) + 8 * len(data) / self.rate
                number = number_of(data)
                assert number is not None
                self._under_way.append((self._free + 0.02, number))
            arrived = [(n, int(at * 1e6)) for at, n in self._under_way if at <= self.now]
            self._under_way = self._under_way[len(arrived) :]
            self._recorder.arrived(arrived)
            for feedback in self._recorder.build(1, int(self.now * 1e6)):
                if self.acknowledging:
                    self.control.handle_rtcp(feedback, self.now)
            assert self.control.tick(self.now) == [], "nothing came to acknowledge"
            rate = self.control.picture_rate(self.now)
            if rate is not None:
                self.told.append(rate)


def agreed_control() -> PathControl:
    control = PathControl(MICROPHONE)
    for ssrc in (CAMERA, RTX):
        control.agree(ssrc, ID)
    return control


def test_what_was_agreed_on_is_numbered_in_one_row() -> None:
    control = agreed_control()
    sent = [control.outgoing(rtp(ssrc), 1.0) for ssrc in (CAMERA, RTX, MICROPHONE, CAMERA)]
    assert [number_of(data) for data in sent] == [0, 1, None, 2]
    assert sent[2] == rtp(MICROPHONE), "nobody agreed"
    numbered = RtpPacket.parse(sent[0])
    assert numbered.extensions.pop(ID) == b"\0\0"
    assert numbered == RtpPacket.parse(rtp(CAMERA))
    control.agree(CAMERA, None)
    assert control.outgoing(rtp(CAMERA), 1.0) == rtp(CAMERA)


def test_a_wide_path_does_not_hold_pictures_back() -> None:
    far = FarEnd(agreed_control(), 20_000_000)
    far.run(10, sending=1_800_000)
    assert len(far.told) <= 2
    assert far.told[0] == START_RATE - SOUND_RATE
    assert far.told[-1] >= 1_800_000


def test_a_narrow_path_is_obeyed_and_a_wide_one_used_again() -> None:
    far = FarEnd(agreed_control(), 500_000)
    far.run(8, sending=1_800_000)
    assert 250_000 < far.told[-1] < 500_000
    assert far._free - far.now < 0.3, "the queue is empty again"
    count = len(far.told)
    far.rate = 20_000_000
    far.run(40, sending=1_800_000)
    assert far.told[-1] > 1_200_000
    assert len(far.told) - count <= 40 / RAISE_PAUSE, "each change is a key frame"


def test_a_path_without_feedback_is_left_alone_until_it_had_some() -> None:
    never = FarEnd(agreed_control(), 20_000_000)
    never.acknowledging = False
    never.run(10, sending=1_000_000)
    assert never.told == []
    far = FarEnd(agreed_control(), 20_000_000)
    far.run(3, sending=1_000_000)
    far.acknowledging = False
    far.run(8, sending=1_000_000)
    assert far.told[-1] == MIN_PICTURE
    assert len(far.told) < 10 / LOWER_PAUSE


def test_an_older_server_says_it_by_itself() -> None:
    control = PathControl(MICROPHONE)
    assert control.picture_rate(1.0) is None
    control.handle_rtcp(ReceiverEstimate(1, 600_000, (CAMERA,)), 1.0)
    assert control.picture_rate(1.0) == 600_000 - SOUND_RATE
    control.handle_rtcp(ReceiverEstimate(1, 590_000, (CAMERA,)), 2.0)
    assert control.picture_rate(2.0) is None, "nearly the same"
    control.handle_rtcp(ReceiverEstimate(1, 100, (CAMERA,)), 3.0)
    assert control.picture_rate(3.0) == MIN_PICTURE


def test_what_comes_is_acknowledged() -> None:
    control = PathControl(MICROPHONE)
    for n, number in enumerate((7, 8, 10)):
        packet = RtpPacket(96, n, 0, 99, False, b"", extensions={ID: encode_transport_wide(number)})
        control.incoming(packet, ID, 5.0 + n / 100)
    control.incoming(RtpPacket(96, 9, 0, 99, False, b""), ID, 5.1)
    control.incoming(RtpPacket(96, 9, 0, 99, False, b"", extensions={ID: b"\1"}), ID, 5.1)
    assert control.malformed == 1
    [data] = control.tick(5.1)
    [feedback] = parse_compound(data)
    assert isinstance(feedback, TransportFeedback)
    assert (feedback.sender_ssrc, feedback.base_sequence) == (MICROPHONE, 7)
    assert [a is None for a in feedback.arrivals] == [False, False, True, False]
    assert control.tick(5.15) == []


# The offer.


def test_every_section_offers_feedback() -> None:
    sections = ReceiveSections()
    kinds: tuple[tuple[media.Kind, media.Source], ...] = (("audio", "microphone"), ("video", "camera"))
    sections.want(
        [media.Producer(id=f"p{k}234567890"[:11], member="mabcdefghi1", kind=k, source=s) for k, s in kinds]
    )
    transport = TransportParameters("abcdefgh", "p" * 24, ("sha-256", ":".join(["AB"] * 32)), "active")
    sources = SendSources(MICROPHONE, CAMERA, RTX, cname="h1")
    offer = SessionDescription.parse(str(build_offer(transport, sources, sections)))
    assert len(offer.sections) == 4
    for section in offer.sections:
        assert section.extension_id(TRANSPORT_WIDE) == TRANSPORT_WIDE_EXTENSION
        media_codecs = [c for c in section.codecs if c.name != "rtx"]
        assert media_codecs
        assert all("transport-cc" in c.feedback for c in media_codecs)


# The media path.


class FakeTransport:
    """Stands for the encrypted path: keeps what is sent."""

    connected = True
    cipher = ""

    def __init__(self, link: object, certificate: object, **callbacks: Any) -> None:
        self.callbacks = callbacks
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []

    def local_parameters(self, setup: str) -> TransportParameters:
        return TransportParameters("abcdefgh", "p" * 24, ("sha-256", ":".join(["AB"] * 32)), setup)

    async def connect(self, remote: TransportParameters, dtls_role: str) -> None: ...

    def send_rtp(self, data: bytes) -> None:
        self.rtp.append(data)

    def send_rtcp(self, data: bytes) -> None:
        self.rtcp.append(data)

    async def close(self) -> None: ...


def answer_to(offer: media.Offer, *, agreeing: Sequence[str]) -> media.Answer:
    """Takes everything; the extension in these sections only."""
    answer = SessionDescription.parse(offer.sdp)
    for section in answer.sections:
        section.direction = "recvonly"
        if section.mid not in agreeing:
            section.extensions = {n: u for n, u in section.extensions.items() if u != TRANSPORT_WIDE}
    return media.Answer(re=offer.id, sdp=str(answer), producers={})


@pytest.fixture
def fake_transport(monkeypatch: pytest.MonkeyPatch) -> list[FakeTransport]:
    made: list[FakeTransport] = []

    def make(*args: Any, **options: Any) -> FakeTransport:
        made.append(FakeTransport(*args, **options))
        return made[-1]

    monkeypatch.setattr(media_path_module, "PeerTransport", make)
    return made


def open_path(rates: list[int]) -> MediaPath:
    return MediaPath(
        Certificate(),
        on_up=lambda: None,
        on_down=lambda: None,
        on_picture=lambda member, picture: None,
        on_key_frame_wanted=lambda: None,
        on_receiver=lambda receiver, on: None,
        on_picture_rate=rates.append,
    )


def picture(n: int) -> VideoEncoded:
    return VideoEncoded(b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00" + bytes(3000), n == 0, n / 30, n * 3000)


async def test_a_path_numbers_what_it_sends_and_tells_what_it_got(
    fake_transport: list[FakeTransport],
) -> None:
    rates: list[int] = []
    path = open_path(rates)
    [transport] = fake_transport
    offer = path.offer([], lambda producer: 0, first=True)
    assert offer is not None
    path.answered(answer_to(offer, agreeing=["cam"]))
    path.send_sound(SoundEncoded(b"sound", 0, 30, True))
    path.send_video(picture(0))
    path.send_video(picture(1))
    sound, *video = transport.rtp
    assert number_of(sound, TRANSPORT_WIDE_EXTENSION) is None
    count = len(video)
    assert count >= 6
    assert [number_of(data, TRANSPORT_WIDE_EXTENSION) for data in video] == list(range(count))

    # A repair has a number of its own, and feedback sets the rate.
    now = time.monotonic()
    first = RtpPacket.parse(video[0])
    transport.callbacks["on_rtcp"](GenericNack(1, first.ssrc, (first.sequence_number,)).serialize(), now)
    assert number_of(transport.rtp[-1], TRANSPORT_WIDE_EXTENSION) == count
    assert RtpPacket.parse(transport.rtp[-1]).ssrc != first.ssrc
    path.tick(now)
    assert rates == []
    feedback = TransportFeedback(1, 0, 0, 0, 0, tuple(range(count)))
    transport.callbacks["on_rtcp"](feedback.serialize(), now)
    path.tick(now)
    assert rates == [START_RATE - SOUND_RATE]

    # What comes is acknowledged, whoever sent it.
    before = len(transport.rtcp)
    packet = RtpPacket(
        96, 1, 0, 77, False, b"", extensions={TRANSPORT_WIDE_EXTENSION: encode_transport_wide(300)}
    )
    transport.callbacks["on_rtp"](packet.serialize(), now)
    path.tick(now)
    told = [p for data in transport.rtcp[before:] for p in parse_compound(data)]
    assert [p.base_sequence for p in told if isinstance(p, TransportFeedback)] == [300]
    await path.close()
