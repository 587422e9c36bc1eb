"""Layers, feedback, redundancy and header extensions in offers, and what of it is agreed on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout import ExtensionIds
from rtc.header_extensions import ABS_SEND_TIME, AUDIO_LEVEL, DEPENDENCY, MID, RID, TRANSPORT_WIDE
from rtc.sdp import MAX_ENCODINGS, MediaSection, SdpError, SessionDescription
from rtc.signalling import ProtocolError
from server_lite.negotiation import LayerPlan, Plan
from tests.server_lite.test_negotiation import CHROMIUM as EVERYTHING
from tests.server_lite.test_negotiation import agree, refused

GOLDEN = Path(__file__).parents[1] / "golden" / "sdp"
CHROMIUM, FIREFOX = (
    (GOLDEN / f"{name}-layers-offer.sdp").read_bytes().decode() for name in ("chromium", "firefox")
)
BROWSERS = pytest.mark.parametrize("text", [CHROMIUM, FIREFOX], ids=["chromium", "firefox"])
THREE = (LayerPlan("l", None, None), LayerPlan("m", None, None), LayerPlan("h", None, None))


def camera(plan: Plan) -> MediaSection:
    section = plan.answer.section("1")
    assert section is not None
    return section


def agree_to_send(text: str) -> Plan:
    return agree(text, receiving=())


def without(text: str, *parts: str) -> str:
    kept = [line for line in text.splitlines(True) if not any(part in line for part in parts)]
    assert len(kept) < text.count("\n")
    return "".join(kept)


@BROWSERS
def test_three_layers_of_a_browser(text: str) -> None:
    plan = agree_to_send(text)
    assert plan.producers[1].layers == THREE
    written = str(plan.answer)
    assert "a=rid:l recv\r\na=rid:m recv\r\na=rid:h recv\r\na=simulcast:recv l;m;h\r\n" in written
    assert SessionDescription.parse(written) == plan.answer
    assert camera(plan).ssrcs == []
    ids = plan.extensions
    assert 0 not in (ids.mid, ids.rid, ids.repaired_rid, ids.level, ids.transport_wide)
    assert plan.producers[1].rtx_types == {
        rtx.payload_type: codec.payload_type
        for codec in camera(plan).codecs
        if (rtx := camera(plan).rtx_for(codec.payload_type))
    }
    assert plan.producers[1].rtx_types


def test_the_order_of_layers_is_the_offer_s_and_says_nothing_of_their_size() -> None:
    plan = agree_to_send(CHROMIUM.replace("send l;m;h", "send h;l;m"))
    assert [layer.rid for layer in plan.producers[1].layers] == ["h", "l", "m"]


def test_a_paused_layer_is_taken_for_when_it_comes() -> None:
    plan = agree_to_send(CHROMIUM.replace("send l;m;h", "send l;~m;~h"))
    assert plan.producers[1].layers == THREE
    assert camera(plan).rids == ["l", "m", "h"]


def test_more_than_three_layers_are_not_answered() -> None:
    more = "a=rid:x send\r\na=rid:y send\r\na=simulcast:send l;m;h;x;y\r\n"
    plan = agree_to_send(CHROMIUM.replace("a=simulcast:send l;m;h\r\n", more))
    assert MAX_ENCODINGS == 3
    assert plan.producers[1].layers == THREE
    assert camera(plan).rids == ["l", "m", "h"]
    assert "a=rid:x" not in str(plan.answer)


def test_layers_that_nothing_names_in_packets_are_one() -> None:
    plan = agree_to_send(without(CHROMIUM, "sdes:rtp-stream-id"))
    assert plan.producers[1].layers == (LayerPlan("", None, None),)
    assert "a=simulcast" not in str(plan.answer)
    assert "a=rid" not in str(plan.answer)


def test_layers_by_ssrc_with_their_repairs() -> None:
    """As our own program and old browsers offer them."""
    groups = "a=ssrc-group:SIM 11 22 33\r\n" + "".join(
        f"a=ssrc-group:FID {media} {media + 1}\r\n" for media in (11, 22, 33)
    )
    ssrcs = "".join(f"a=ssrc:{n} cname:x\r\n" for n in (11, 12, 22, 23, 33, 34))
    plan = agree_to_send(without(CHROMIUM, "a=rid", "a=simulcast") + groups + ssrcs)
    layers = plan.producers[1].layers
    assert layers == (LayerPlan("", 11, 12), LayerPlan("", 22, 23), LayerPlan("", 33, 34))
    assert camera(plan).codecs[0].parameter("x-google-start-bitrate") == "2000"


@pytest.mark.parametrize(("text", "start"), [(CHROMIUM, "2000"), (EVERYTHING, "1000")])
def test_a_browser_starts_with_what_its_layers_need(text: str, start: str) -> None:
    section = camera(agree_to_send(text))
    told = {c.name: c.parameter("x-google-start-bitrate") for c in section.codecs}
    assert told.pop("VP8") == start
    assert set(told.values()) == {None}


@BROWSERS
def test_feedback_of_packets_of_all_streams_replaces_remb(text: str) -> None:
    plan = agree_to_send(text)
    sound, pictures = plan.answer.sections
    assert sound.codecs[0].feedback == ("transport-cc",)
    assert pictures.codecs[0].feedback == ("nack", "nack pli", "ccm fir", "transport-cc")
    for section in (sound, pictures):
        assert section.extension_id(TRANSPORT_WIDE) == plan.extensions.transport_wide
        assert section.extension_id(ABS_SEND_TIME) is None


@pytest.mark.parametrize("gone", ["transport-cc", "transport-wide-cc"])
def test_who_cannot_count_all_packets_gets_remb_and_times_of_sending(gone: str) -> None:
    plan = agree_to_send(without(CHROMIUM, gone))
    sound, pictures = plan.answer.sections
    assert sound.codecs[0].feedback == ()
    assert pictures.codecs[0].feedback == ("nack", "nack pli", "ccm fir", "goog-remb")
    assert (plan.extensions.send_time, plan.extensions.transport_wide) == (2, 0)


def test_no_feedback_is_agreed_that_was_not_offered() -> None:
    plan = agree_to_send(without(CHROMIUM, "nack", "ccm fir"))
    assert camera(plan).codecs[0].feedback == ("transport-cc",)


def test_the_descriptor_of_dependencies_comes_with_formats_that_have_it() -> None:
    assert camera(agree_to_send(CHROMIUM)).extension_id(DEPENDENCY) is None  # VP8 alone
    vp9 = CHROMIUM.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP9/90000")
    plan = agree_to_send(vp9)
    assert camera(plan).extension_id(DEPENDENCY) == 13
    assert plan.extensions.dependency == 13


def test_formats_of_which_some_kinds_are_forwarded() -> None:
    for name, parameters, taken in [
        ("VP9", "profile-id=0", True),
        ("VP9", "", True),
        ("VP9", "profile-id=2", False),
        ("AV1", "level-idx=5;profile=0;tier=0", True),
        ("AV1", "level-idx=5;profile=1;tier=0", False),
        ("H264", "packetization-mode=1", True),
        ("H264", "packetization-mode=0", False),
        ("H264", "", False),
    ]:
        text = CHROMIUM.replace("VP8/90000", f"{name}/90000\r\na=fmtp:96 {parameters}")
        if taken:
            assert set(agree_to_send(text).producers[1].codecs.values()) == {name}
        else:
            assert refused(text, receiving=()) == "codec-unknown", (name, parameters)


def test_protection_of_pictures_by_their_sender_s_numbers_is_not_agreed() -> None:
    assert "ulpfec/90000" in EVERYTHING
    assert "flexfec-03/90000" in EVERYTHING
    names = {c.name.lower() for s in agree().answer.sections if s.kind == "video" for c in s.codecs}
    assert names.isdisjoint({"red", "ulpfec", "flexfec-03"})


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        ("111 63", "111 63", ["opus", "red"]),
        ("111 63", "63 111", ["red", "opus"]),  # whoever wants to send it says so by the order
        ("a=fmtp:63 111/111", "a=fmtp:63 111/111/111", ["opus", "red"]),
        ("a=fmtp:63 111/111", "a=fmtp:63 111/9", ["opus"]),
        ("a=fmtp:63 111/111", "a=fmtp:63", ["opus"]),
        ("red/48000", "red/8000", ["opus"]),
    ],
)
def test_redundant_sound_is_taken_if_all_in_it_is_opus(old: str, new: str, taken: list[str]) -> None:
    assert old in CHROMIUM
    section = agree_to_send(CHROMIUM.replace(old, new)).answer.sections[0]
    assert [codec.name for codec in section.codecs] == taken


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"a=extmap:13 {DEPENDENCY}", f"a=extmap:1 {RID}"),  # 1 is the level in the other section
        (f"a=extmap:1 {AUDIO_LEVEL}", f"a=extmap:10 {AUDIO_LEVEL}"),
        (f"a=extmap:13 {DEPENDENCY}", f"a=extmap:13 {MID}"),  # and two numbers for one meaning
    ],
)
def test_a_header_extension_means_one_thing_in_all_sections(old: str, new: str) -> None:
    assert old in CHROMIUM
    assert refused(CHROMIUM.replace(old, new), receiving=()) == "sdp-mismatch"


def test_what_is_not_agreed_may_mean_anything() -> None:
    odd = CHROMIUM.replace(f"a=extmap:13 {DEPENDENCY}", "a=extmap:1 urn:something:else")
    assert agree_to_send(odd).extensions == ExtensionIds(
        mid=4, rid=10, repaired_rid=11, level=1, transport_wide=3
    )


def test_both_forms_of_extensions_are_answered_where_they_were_offered() -> None:
    assert "a=extmap-allow-mixed" in str(agree().answer)
    assert "a=extmap-allow-mixed" not in str(agree(without(EVERYTHING, "extmap-allow-mixed")).answer)


LINES = EVERYTHING.split("\r\n")
LAYERS = [
    "a=rid:a send",
    "a=rid:b send",
    "a=simulcast:send a;b",
    "a=ssrc-group:SIM 1 2",
    "a=bundle-only",
]


@given(
    st.lists(st.tuples(st.integers(8, len(LINES) - 1), st.sampled_from([*LINES, *LAYERS])), max_size=8),
    st.sets(st.integers(8, len(LINES) - 1), max_size=8),
)
def test_any_offer_is_answered_or_refused(put: list[tuple[int, str]], cut: set[int]) -> None:
    lines = [line for n, line in enumerate(LINES) if n not in cut]
    for place, line in put:
        lines.insert(min(place, len(lines)), line)
    try:
        plan = agree("\r\n".join(lines) + "\r\n")
    except (SdpError, ProtocolError):
        return
    assert SessionDescription.parse(str(plan.answer)) == plan.answer
    for producer in plan.producers:
        assert 1 <= len(producer.layers) <= MAX_ENCODINGS
        assert set(producer.rtx_types.values()) <= set(producer.codecs)
    for consumer in plan.consumers:
        assert set(consumer.rtx_types) <= set(consumer.codecs.values())
