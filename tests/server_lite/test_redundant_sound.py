"""Sound with redundancy (RED, RFC 2198), from the offers of a sender and its receivers to what each gets."""

from __future__ import annotations

import pytest

from rtc.header_extensions import encode_audio_level, encode_mid
from rtc.rtp import RtpPacket
from rtc.sdp import SessionDescription
from server_lite.frame_tap import FrameTap
from server_lite.negotiation import ConsumerPlan
from tests.rtc.test_fanout_red import OPUS, RED, red
from tests.server_lite.call_of_packets import LEVEL_ID, MID_ID, Call, continuous
from tests.server_lite.test_negotiation import CHROMIUM, agree

ANN = 3266586682  # the SSRC of the microphone in the offer
#: What a receiver offers, in place of Chromium's sound formats.
WITHOUT_RED = {"111 63 9 0 8 13 110 126": "109 9", ":111": ":109", "a=rtpmap:63 red": "a=rtpmap:63 x"}
OTHER_NUMBERS = {"111 63 9 0 8 13 110 126": "109 77", ":111": ":109", ":63": ":77", "111/111": "109/109"}
#: Two kinds of Opus: redundant is only the one under which nothing is sent.
OTHER_OPUS = {
    "111 63 9 0 8 13 110 126": "109 108 63",
    "a=rtpmap:111 opus/48000/2": "a=rtpmap:109 opus/48000/2\r\na=rtpmap:108 opus/48000/2",
    ":111": ":109",
    "111/111": "108/108",
}


def offered(changes: dict[str, str]) -> str:
    text = CHROMIUM
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def receiver(changes: dict[str, str], first_ssrc: int = 100) -> ConsumerPlan:
    """What was agreed on for the section of sound."""
    plan = agree(offered(changes), sending=(), receiving=("2",), first_ssrc=first_ssrc)
    answer = SessionDescription.parse(str(plan.answer)).section("2")
    assert answer is not None
    (consumer,) = plan.consumers
    assert {c.name.upper(): c.payload_type for c in answer.codecs} == consumer.codecs
    return consumer


class Meeting:
    """Ann sends as her offer says; the others receive as theirs say."""

    def __init__(self, call: Call, **receivers: ConsumerPlan) -> None:
        self.call, self.sequence = call, 7
        (plan,) = agree(sending=("0",), receiving=()).producers
        call.publish("p-ann", "ann", plan)
        for name, consumer in receivers.items():
            call.enter(name)
            call.router.set_consumers(name, [consumer])
            call.show(name, "2", "p-ann")

    def comes(self, payload: bytes, payload_type: int = RED) -> None:
        extensions = {MID_ID: encode_mid("0"), LEVEL_ID: encode_audio_level(True, 30)}
        packet = RtpPacket(
            payload_type, self.sequence, self.sequence * 960, ANN, False, payload, (), extensions
        )
        self.sequence += 1
        self.call.send("ann", packet)

    def got(self, name: str) -> list[tuple[int, bytes]]:
        packets = self.call.rtp[name]
        assert continuous(packets)
        return [(packet.payload_type, packet.payload) for packet in packets]


def test_what_is_agreed_with_each() -> None:
    assert receiver({}).codecs == {"OPUS": 111, "RED": 63}
    assert receiver(WITHOUT_RED).codecs == {"OPUS": 109}
    assert receiver(OTHER_NUMBERS).codecs == {"OPUS": 109, "RED": 77}
    assert receiver(OTHER_OPUS).codecs == {"OPUS": 109}, "blocks would name an Opus that is not agreed on"


def test_redundant_sound_goes_out_as_each_receiver_can_read_it() -> None:
    meeting = Meeting(
        Call(), ben=receiver({}), cem=receiver(WITHOUT_RED, 200), dan=receiver(OTHER_NUMBERS, 300)
    )
    both = red(b"1st", last=b"2nd")
    meeting.comes(both)
    meeting.comes(red(last=b"alone"))
    assert meeting.got("ben") == [(63, both), (63, red(last=b"alone"))]
    assert meeting.got("cem") == [(109, b"2nd"), (109, b"alone")]
    inside = both.replace(bytes((0x80 | OPUS,)), bytes((0x80 | 109,))).replace(bytes((OPUS,)), bytes((109,)))
    assert meeting.got("dan")[0] == (77, inside)


def test_a_sender_may_change_to_redundancy_and_back() -> None:
    meeting = Meeting(Call(), ben=receiver({}), cem=receiver(WITHOUT_RED, 200))
    meeting.comes(b"plain", OPUS)
    meeting.comes(red(b"plain", last=b"twice"))
    meeting.comes(b"again", OPUS)
    assert [pt for pt, _ in meeting.got("ben")] == [111, 63, 111]
    assert meeting.got("cem") == [(109, b"plain"), (109, b"twice"), (109, b"again")]


@pytest.mark.parametrize("payload", [b"\xef", red(b"old", last=b""), red(last=b"tones", payload_type=126)])
def test_what_holds_no_opus_is_left_out_without_a_gap(payload: bytes) -> None:
    meeting = Meeting(Call(), cem=receiver(WITHOUT_RED))
    for sound in (red(last=b"one"), payload, red(last=b"two")):
        meeting.comes(sound)
    assert meeting.got("cem") == [(109, b"one"), (109, b"two")]


def test_one_who_records_gets_the_opus() -> None:
    call = Call()
    meeting, tap = Meeting(call), FrameTap()
    end = call.router.tap("p-ann", tap)
    meeting.comes(b"plain", OPUS)
    meeting.comes(red(b"plain", last=b"twice"))
    meeting.comes(b"\xef")
    meeting.comes(red(last=b"tones", payload_type=126))
    end()
    meeting.comes(b"unheard", OPUS)
    frames = tap.take()
    assert [(frame.codec, frame.data) for frame in frames] == [("OPUS", b"plain"), ("OPUS", b"twice")]
    assert [frame.timestamp for frame in frames] == [7 * 960, 8 * 960]
    assert tap.unreadable == 2
