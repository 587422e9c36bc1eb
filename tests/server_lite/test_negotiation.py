"""Offers and answers: what a browser and our own program offer is answered with what is forwarded."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from client.call.offer import ReceiveSections, build_offer
from client.call.places import MAX_RECEIVING
from rtc.fanout import ExtensionIds
from rtc.header_extensions import AUDIO_LEVEL, MID, REPAIRED_RID, RID, TRANSPORT_WIDE
from rtc.sdp import Candidate, SessionDescription, TransportParameters
from rtc.signalling import MAX_MESSAGE_BYTES, ProtocolError, dump_message, media
from server_lite.negotiation import ConsumerPlan, LayerPlan, Plan, agreed_sources, negotiate
from tests.client.call.test_offer import SOURCES, TRANSPORT, producer

CHROMIUM = (Path(__file__).parents[1] / "golden" / "sdp" / "chromium-offer.sdp").read_bytes().decode()
LOCAL = TransportParameters(
    "serverufrag",
    "p" * 24,
    ("sha-256", ":".join(["0F"] * 32)),
    "passive",
    [Candidate("192.0.2.1", 3478)],
    ice_lite=True,
)


def agree(
    text: str = CHROMIUM,
    sending: tuple[str, ...] = ("0", "1"),
    receiving: tuple[str, ...] = ("2", "3"),
    known: Plan | None = None,
    first_ssrc: int = 100,
) -> Plan:
    numbers = itertools.count(first_ssrc)
    consumers: dict[str, ConsumerPlan] = {c.mid: c for c in known.consumers} if known else {}
    return negotiate(
        SessionDescription.parse(text),
        sending=set(sending),
        receiving=set(receiving),
        local=LOCAL,
        known=consumers,
        new_ssrc=lambda: next(numbers),
    )


def kinds(plan: Plan) -> list[tuple[str, str]]:
    return [(producer.mid, producer.kind) for producer in plan.producers]


def refused(text: str, sending: tuple[str, ...] = ("0", "1"), receiving: tuple[str, ...] = ("2", "3")) -> str:
    with pytest.raises(ProtocolError) as error:
        agree(text, sending, receiving)
    assert error.value.sentence.endswith(".")
    return error.value.code


def test_a_browser_s_offer_is_answered() -> None:
    plan = agree()
    answer = SessionDescription.parse(str(plan.answer))
    assert answer == plan.answer
    assert answer.transport == LOCAL
    assert [(s.mid, s.direction, s.rejected) for s in answer.sections] == [
        ("0", "recvonly", False),
        ("1", "recvonly", False),
        ("2", "sendonly", False),
        ("3", "sendonly", False),
    ]
    sound = [[c.name for c in s.codecs] for s in answer.sections if s.kind == "audio"]
    assert sound == [["opus", "red"], ["opus", "red"]]


def test_video_is_vp8_before_the_others_each_with_its_repair() -> None:
    for section in agree().answer.sections:
        if section.kind != "video":
            continue
        names = [codec.name for codec in section.codecs]
        assert names[:2] == ["VP8", "rtx"]
        assert set(names) == {"VP8", "VP9", "H264", "AV1", "rtx"}
        for codec in section.codecs:
            if codec.name == "H264":
                assert codec.parameter("packetization-mode") == "1"
            if codec.name == "VP9":
                assert codec.parameter("profile-id") == "0"
            if codec.name == "rtx":
                apt = codec.parameter("apt")
                assert apt in {str(c.payload_type) for c in section.codecs if c.name != "rtx"}


def test_what_is_sent_is_planned() -> None:
    sound, video = agree().producers
    assert (sound.mid, sound.kind, sound.codecs, sound.clock_rate) == (
        "0",
        "audio",
        {111: "OPUS", 63: "RED"},
        48000,
    )
    assert sound.layers == (LayerPlan("", 3266586682, None),)
    assert video.layers == (LayerPlan("", 3532876219, 3163134103),)
    assert video.codecs[96] == "VP8"
    assert video.rtx_types[97] == 96
    assert set(video.codecs.values()) == {"VP8", "VP9", "H264", "AV1"}


def test_what_is_received_is_planned() -> None:
    plan = agree()
    sound, video = plan.consumers
    assert (sound.ssrc, sound.rtx_ssrc, sound.codecs) == (100, None, {"OPUS": 111, "RED": 63})
    assert (video.ssrc, video.rtx_ssrc) == (101, 102)
    assert video.codecs["VP8"] == 96
    assert video.rtx_types[96] == 97
    section = plan.answer.section("3")
    assert section is not None
    assert section.ssrcs == [101, 102]
    assert section.rtx == {101: 102}
    assert "nack pli" in section.codecs[0].feedback


def test_a_receiver_gets_each_format_under_one_payload_type() -> None:
    """The browser offers five kinds of H.264 that are forwarded; packets leave under one alone."""
    plan = agree()
    receiving = plan.answer.section("3")
    assert receiving is not None
    media = [codec for codec in receiving.codecs if codec.name != "rtx"]
    assert [codec.name for codec in media] == ["VP8", "VP9", "H264", "AV1"]
    assert plan.consumers[1].codecs == {c.name: c.payload_type for c in media}
    assert len(receiving.codecs) == 2 * len(media)


def test_only_what_is_used_of_the_header_extensions_is_kept() -> None:
    plan = agree()
    for section in plan.answer.sections:
        assert set(section.extensions.values()) <= {MID, AUDIO_LEVEL, RID, REPAIRED_RID, TRANSPORT_WIDE}
        assert section.extension_id(MID) == 4
    assert plan.extensions == ExtensionIds(mid=4, rid=10, repaired_rid=11, level=1, transport_wide=3)


def test_a_browser_is_told_to_start_quickly() -> None:
    (sending,) = [s for s in agree().answer.sections if s.mid == "1"]
    assert sending.codecs[0].parameter("x-google-start-bitrate") == "1000"
    (receiving,) = [s for s in agree().answer.sections if s.mid == "3"]
    assert receiving.codecs[0].parameter("x-google-start-bitrate") is None


def test_sections_that_nobody_named_are_refused() -> None:
    plan = agree(sending=("0",), receiving=("3",))
    assert [s.rejected for s in plan.answer.sections] == [False, True, True, False]
    assert [p.mid for p in plan.producers] == ["0"]
    assert [c.mid for c in plan.consumers] == ["3"]
    assert SessionDescription.parse(str(plan.answer)).sections[1].rejected


@pytest.mark.parametrize("change", [("m=video 9", "m=video 0"), ("a=sendonly", "a=inactive")])
def test_sections_that_carry_nothing_are_refused_and_no_source(change: tuple[str, str]) -> None:
    plan = agree(CHROMIUM.replace(*change), receiving=())
    gone = {p.mid for p in plan.producers}
    assert gone == ({"0"} if change[0].startswith("m=video") else set())
    sources = agreed_sources(kinds(plan), {"0": "microphone", "1": "camera"})
    assert dict(sources).keys() == gone


def test_another_offer_on_the_same_path_keeps_the_streams() -> None:
    first = agree()
    again = agree(known=first, first_ssrc=900)
    assert again.consumers == first.consumers
    more = agree(receiving=("3",), known=first, first_ssrc=900)
    assert more.consumers == first.consumers[1:]
    fresh = agree(first_ssrc=900)
    assert {c.ssrc for c in fresh.consumers}.isdisjoint({c.ssrc for c in first.consumers})


def test_repair_that_comes_later_gets_a_stream_of_its_own() -> None:
    without = agree("".join(line for line in CHROMIUM.splitlines(True) if "rtx/90000" not in line))
    assert without.consumers[1].rtx_ssrc is None
    again = agree(known=without, first_ssrc=900)
    assert again.consumers[1].ssrc == without.consumers[1].ssrc
    assert again.consumers[1].rtx_ssrc == 900


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("a=sendonly", "a=recvonly", "sdp-mismatch"),
        ("a=recvonly", "a=sendonly", "sdp-mismatch"),
        ("a=mid:3", "a=mid:9", "sdp-mismatch"),
        ("opus/48000", "opus/16000", "codec-unknown"),
        ("opus", "PCMU", "codec-unknown"),
    ],
)
def test_offers_that_do_not_say_what_they_claim(old: str, new: str, code: str) -> None:
    assert refused(CHROMIUM.replace(old, new)) == code


def test_a_section_for_both_directions_is_refused() -> None:
    assert refused(CHROMIUM, receiving=("1", "2")) == "sdp-mismatch"


def test_video_that_nobody_could_forward_is_refused() -> None:
    lines = [
        line
        for line in CHROMIUM.splitlines(True)
        if not any(name in line for name in ("VP8/9", "VP9/9", "AV1/9", "packetization-mode=1"))
    ]
    assert refused("".join(lines)) == "codec-unknown"


def test_sendrecv_is_answered_with_one_direction() -> None:
    plan = agree(CHROMIUM.replace("a=sendonly", "a=sendrecv").replace("a=recvonly", "a=sendrecv"))
    assert [s.direction for s in plan.answer.sections] == ["recvonly", "recvonly", "sendonly", "sendonly"]


@pytest.mark.parametrize(
    "claimed",
    [{"0": "camera", "1": "screen"}, {"0": "screen", "1": "camera"}, {"0": "microphone", "1": "microphone"}],
)
def test_a_source_of_another_kind_than_its_section(claimed: dict[str, str]) -> None:
    with pytest.raises(ProtocolError, match="sdp-mismatch"):
        agreed_sources(kinds(agree()), claimed)  # type: ignore[arg-type]


def test_a_section_for_data_is_refused() -> None:
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:4\r\na=sctp-port:5000\r\n"
    plan = agree(CHROMIUM + data, receiving=("2", "3", "4"))
    assert plan.answer.sections[4].rejected
    assert "m=application 0" in str(plan.answer)


def test_the_largest_offer_of_the_desktop_client_is_answered_in_one_message() -> None:
    sections = ReceiveSections()
    sections.want([producer(n) for n in range(2 * 99)])
    offer = SessionDescription.parse(str(build_offer(TRANSPORT, SOURCES, sections)))
    numbers = itertools.count(4_000_000_000)
    plan = negotiate(
        offer,
        sending={"mic", "cam"},
        receiving=set(sections.by_mid()),
        local=replace(LOCAL, candidates=[Candidate(f"192.0.2.{n}", 3478) for n in range(8)]),
        known={},
        new_ssrc=lambda: next(numbers),
    )
    assert len(plan.consumers) == MAX_RECEIVING
    ids = {"mic": "p" * 11, "cam": "p" * 11}
    answer = media.Answer(re=2**31 - 1, sdp=str(plan.answer), producers=ids)
    assert len(dump_message(answer).encode()) < MAX_MESSAGE_BYTES
