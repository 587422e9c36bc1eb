"""Session descriptions: any text is one or is refused, and what is written can be read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.header_extensions import AUDIO_LEVEL, MID
from rtc.sdp import Candidate, Codec, MediaSection, SdpError, SessionDescription, TransportParameters
from rtc.signalling import MAX_STREAMS
from tests.rtc.strategies import u32

GOLDEN = Path(__file__).parents[1] / "golden" / "sdp"
CHROMIUM = (GOLDEN / "chromium-offer.sdp").read_bytes().decode()
FINGERPRINT = ":".join(["A1"] * 32)

words = st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True)
ice_text = st.from_regex(r"[A-Za-z0-9+/]{22,40}", fullmatch=True)
candidates = st.builds(
    Candidate,
    host=st.ip_addresses().map(str),
    port=st.integers(0, 65535),
    priority=u32,
    foundation=words,
    component=st.integers(1, 2),
)
transports = st.builds(
    TransportParameters,
    ufrag=st.from_regex(r"[A-Za-z0-9+/]{4,32}", fullmatch=True),
    password=ice_text,
    fingerprint=st.just(("sha-256", FINGERPRINT)),
    setup=st.sampled_from(["actpass", "active", "passive"]),
    candidates=st.lists(candidates, max_size=4, unique=True),
    ice_lite=st.booleans(),
)
values = st.from_regex(r"[a-z-]{1,10}=[0-9a-f]{1,6}(;[a-z]{1,8}=[0-9]{1,3})?", fullmatch=True)


@st.composite
def codec_lists(draw: st.DrawFn) -> list[Codec]:
    numbers = draw(st.lists(st.integers(0, 127), min_size=1, max_size=5, unique=True))
    return [
        Codec(
            number,
            draw(st.sampled_from(["VP8", "H264", "opus", "rtx"])),
            draw(st.sampled_from([48000, 90000])),
            draw(st.sampled_from([1, 2])),
            draw(st.just("") | values),
            tuple(draw(st.lists(st.sampled_from(["nack", "nack pli", "goog-remb"]), max_size=3))),
        )
        for number in numbers
    ]


@st.composite
def sections(draw: st.DrawFn, mid: str) -> MediaSection:
    if draw(st.integers(0, 9)) == 0:
        return MediaSection("application", mid, sctp_port=draw(st.integers(1, 65535)))
    if draw(st.integers(0, 9)) == 0:
        return MediaSection("video", mid, direction="inactive", rejected=True)
    ssrcs = draw(st.lists(u32, max_size=4, unique=True))
    rids = draw(st.lists(words, max_size=5, unique=True))
    section = MediaSection(
        draw(st.sampled_from(["audio", "video"])),
        mid,
        draw(st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])),
        draw(codec_lists()),
        draw(st.dictionaries(st.integers(1, 255), st.sampled_from([MID, AUDIO_LEVEL]), max_size=2)),
        ssrcs,
        {ssrcs[0]: ssrcs[1]} if len(ssrcs) > 1 and draw(st.booleans()) else {},
        cname=draw(words) if ssrcs else "",
        stream_id=draw(st.just("") | words),
        rids=rids,
    )
    if len(ssrcs) > 1 and draw(st.booleans()):
        section.simulcast = ssrcs[:3]
    return section


@st.composite
def descriptions(draw: st.DrawFn) -> SessionDescription:
    mids = draw(st.lists(words, min_size=1, max_size=6, unique=True))
    listed = [draw(sections(mid)) for mid in mids]
    if all(section.rejected for section in listed):  # then nobody says how to reach it
        listed.append(MediaSection("audio", "last-one", codecs=[Codec(111, "opus", 48000, 2)]))
    mixed = draw(st.booleans()) or not any(s.extensions for s in listed)
    return SessionDescription(draw(transports), listed, extmap_allow_mixed=mixed)


@given(descriptions())
def test_what_is_written_can_be_read(description: SessionDescription) -> None:
    assert SessionDescription.parse(str(description)) == description


@given(st.text(max_size=500))
def test_any_text_is_refused_with_a_reason(text: str) -> None:
    for whole in (text, "v=0\r\n" + text):
        with pytest.raises(SdpError) as refused:
            SessionDescription.parse(whole)
        assert str(refused.value).endswith(".")


LINES = st.sampled_from(CHROMIUM.split("\r\n")) | st.text(max_size=30).map(lambda text: "a=" + text)
KEYS = [
    "extmap:",
    "rtpmap:",
    "fmtp:",
    "rtcp-fb:",
    "ssrc:",
    "ssrc-group:",
    "rid:",
    "simulcast:send ",
    "bundle-only",
    "msid:",
    "sctp-port:",
    "candidate:",
]
TATTERED = st.builds(lambda key, text: f"a={key}{text}", st.sampled_from(KEYS), st.text(max_size=30))


@given(st.lists(LINES | TATTERED, max_size=60), st.sampled_from(["\r\n", "\n", "\r"]))
def test_shuffled_lines_are_read_or_refused(lines: list[str], end: str) -> None:
    try:
        description = SessionDescription.parse(end.join(["v=0", *lines]))
    except SdpError:
        return
    SessionDescription.parse(str(description))  # what we make of it is sound


@given(st.integers(0, len(CHROMIUM)), st.integers(0, 60), st.text(max_size=20))
def test_a_damaged_offer_is_read_or_refused(place: int, cut: int, put: str) -> None:
    try:
        SessionDescription.parse(CHROMIUM[:place] + put + CHROMIUM[place + cut :])
    except SdpError:
        return


def test_a_browser_s_offer() -> None:
    offer = SessionDescription.parse(CHROMIUM)
    assert [(s.kind, s.mid, s.direction) for s in offer.sections] == [
        ("audio", "0", "sendonly"),
        ("video", "1", "sendonly"),
        ("audio", "2", "recvonly"),
        ("video", "3", "recvonly"),
    ]
    assert (offer.transport.ufrag, offer.transport.setup) == ("q6yT", "actpass")
    audio, video = offer.sections[:2]
    opus = audio.codec("opus")
    assert opus is not None
    assert (opus.payload_type, opus.clock_rate, opus.channels) == (111, 48000, 2)
    assert opus.parameter("useinbandfec") == "1"
    assert opus.parameter("stereo") is None
    assert (audio.extension_id(MID), audio.extension_id(AUDIO_LEVEL)) == (4, 1)
    assert audio.ssrcs == [3266586682]
    vp8 = video.codec("vp8")
    assert vp8 is not None
    assert "nack pli" in vp8.feedback
    rtx = video.rtx_for(vp8.payload_type)
    assert rtx is not None
    assert rtx.payload_type == 97
    assert video.rtx == {3532876219: 3163134103}
    assert offer.section("3") is offer.sections[3]
    assert offer.section("4") is None


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_browser_s_offer_of_three_layers(browser: str) -> None:
    text = (GOLDEN / f"{browser}-layers-offer.sdp").read_bytes().decode()
    audio, video = SessionDescription.parse(text).sections
    assert (audio.kind, audio.direction, audio.rejected) == ("audio", "sendonly", False)
    assert (video.kind, video.direction, video.rejected) == ("video", "sendonly", False)
    opus, vp8 = audio.codec("opus"), video.codec("vp8")
    assert opus is not None
    assert vp8 is not None
    assert opus.parameter("useinbandfec") == "1"  # Firefox says so before it says what opus is
    assert {"nack pli", "transport-cc"} <= set(vp8.feedback)
    assert video.rtx_for(vp8.payload_type) is not None
    assert video.extension_id("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id") is not None
    assert video.extension_id("urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id") is not None


def test_port_0_rejects_a_section_unless_it_comes_with_the_bundle_only() -> None:
    """Firefox offers all sections but the first in this way."""
    firefox = (GOLDEN / "firefox-layers-offer.sdp").read_bytes().decode()
    assert "m=video 0 " in firefox
    without = SessionDescription.parse(firefox.replace("a=bundle-only\r\n", ""))
    assert [section.rejected for section in without.sections] == [False, True]


def test_the_order_of_codecs_is_the_m_line_s() -> None:
    first = SessionDescription.parse(CHROMIUM).sections[1].codecs[0]
    assert first.name == "VP8"
    swapped = CHROMIUM.replace("SAVPF 96 97 102", "SAVPF 102 97 96", 1)
    assert SessionDescription.parse(swapped).sections[1].codecs[0].name == "H264"


def test_a_lone_carriage_return_smuggles_nothing() -> None:
    """Else a parameter that is written into the answer could bring a line of its own."""
    text = CHROMIUM.replace("apt=96", "apt=96\ra=candidate:1 1 udp 1 192.0.2.66 9 typ host", 1)
    description = SessionDescription.parse(text)
    assert all("\r" not in c.parameters for s in description.sections for c in s.codecs)


def test_candidates_of_a_bundle_are_read_once() -> None:
    transport = TransportParameters(
        "abcd", "p" * 22, ("sha-256", FINGERPRINT), candidates=[Candidate("192.0.2.1", 5)]
    )
    opus = Codec(111, "opus", 48000, 2)
    written = SessionDescription(transport, [MediaSection("audio", str(n), codecs=[opus]) for n in range(3)])
    text = str(written)
    assert text.count("a=candidate:") == 1
    candidate = next(line for line in text.splitlines() if line.startswith("a=candidate:"))
    repeated = text.replace("a=sendrecv", f"{candidate}\r\na=sendrecv")  # as some others write it
    assert repeated.count("a=candidate:") == 4
    assert len(SessionDescription.parse(repeated).transport.candidates) == 1


def test_candidates_are_in_the_first_section_that_lives() -> None:
    transport = TransportParameters(
        "abcd", "p" * 22, ("sha-256", FINGERPRINT), candidates=[Candidate("192.0.2.1", 5)]
    )
    opus = Codec(111, "opus", 48000, 2)
    sections = [MediaSection("audio", str(n), codecs=[opus], rejected=n == 0) for n in range(3)]
    _, refused, taken, other = str(SessionDescription(transport, sections)).split("m=")
    assert ["a=candidate:" in part for part in (refused, taken, other)] == [False, True, False]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("v=0", "v=1", "v=0"),
        ("a=mid:1", "a=mid:0", "same a=mid"),
        ("a=mid:1", "a=mid:" + "x" * 17, "usable a=mid"),
        ("a=mid:1", "a=mid:ä", "usable a=mid"),
        ("m=audio", "m=text", "m= line"),
        ("m=audio 9", "m=audio 65536", "larger than 65535"),
        ("SAVPF 111", "SAVPF 128", "larger than 127"),
        ("opus/48000", "opus/" + "9" * 30, "number"),
        ("a=ice-ufrag:q6yT", "a=ice-ufrag:q6y", "user fragment"),
        ("a=ice-ufrag:q6yT", "a=ice-ufrag:q6y T", "user fragment"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1", "fingerprint"),
        ("D9:BA", "D9BA", "fingerprint"),
        ("a=ssrc:", "a=ssrc:-", "number"),
        ("a=ssrc:", "a=ssrc:٣", "number"),
    ],
)
def test_what_cannot_be_used_is_refused(old: str, new: str, reason: str) -> None:
    changed = CHROMIUM.replace(old, new)
    assert changed != CHROMIUM
    with pytest.raises(SdpError, match=reason):
        SessionDescription.parse(changed)


def test_sections_and_lines_are_bounded() -> None:
    head = CHROMIUM[: CHROMIUM.index("m=audio")]
    media = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{}\r\n"
    security = "\r\n".join(line for line in CHROMIUM.split("\r\n") if line.startswith(("a=ice-", "a=fing")))
    many = "".join(media.format(n) for n in range(MAX_STREAMS))
    whole = f"{head}{security}\r\n{many}"
    assert len(SessionDescription.parse(whole).sections) == MAX_STREAMS
    with pytest.raises(SdpError, match="more than"):
        SessionDescription.parse(whole + media.format("more"))
    with pytest.raises(SdpError, match="lines"):
        SessionDescription.parse(whole + "a=x\r\n" * 700)


@pytest.mark.parametrize(
    "piece",
    ["a=rtcp-fb:* nack\r\n", "a=ssrc:1 x:y\r\n", "a=rtpmap:96 VP8/90000\r\n", "\r", "m=audio 9 a 1\r\n"],
)
def test_the_worst_text_takes_no_long_time(piece: str) -> None:
    """62,000 characters are the most that a message holds."""
    text = (CHROMIUM + piece * 62_000)[:62_000]
    began = time.process_time()
    with pytest.raises(SdpError):
        SessionDescription.parse(text)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "value", ["", "1 1 udp", "1 1 udp x 192.0.2.1 9 typ host", "1 1 udp 1 h 65536 typ host"]
)
def test_candidates_that_are_none(value: str) -> None:
    with pytest.raises(SdpError):
        Candidate.parse(value)


def test_an_end_without_a_section_for_data_gets_a_port() -> None:
    text = str(
        SessionDescription(
            TransportParameters("abcd", "p" * 22, ("sha-256", FINGERPRINT)),
            [MediaSection("application", "0")],
        )
    )
    assert "a=sctp-port:5000" in text
    assert SessionDescription.parse(text).sections[0].sctp_port == 5000
