"""Layers in session descriptions: by name, by SSRC, as browsers write them and as others might."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.header_extensions import DEPENDENCY, REPAIRED_RID, RID, TRANSPORT_WIDE
from rtc.sdp import Codec, MediaSection, SdpError, SessionDescription
from rtc.sdp_simulcast import MAX_ALTERNATIVES, MAX_RIDS, Simulcast

GOLDEN = Path(__file__).parents[1] / "golden" / "sdp"
CHROMIUM, FIREFOX = (
    (GOLDEN / f"{name}-layers-offer.sdp").read_bytes().decode() for name in ("chromium", "firefox")
)
BROWSERS = pytest.mark.parametrize("text", [CHROMIUM, FIREFOX], ids=["chromium", "firefox"])
SIMULCAST = "a=simulcast:send l;m;h\r\n"


def video(text: str) -> MediaSection:
    return SessionDescription.parse(text).sections[1]


def with_lines(*lines: str, simulcast: str = "") -> MediaSection:
    """Chromium's section of pictures with other lines about its encodings."""
    assert CHROMIUM.endswith(SIMULCAST)
    kept = [line for line in CHROMIUM.split("\r\n") if line and not line.startswith(("a=rid", "a=simulcast"))]
    return video("\r\n".join([*kept, *lines, *([f"a=simulcast:{simulcast}"] if simulcast else [])]) + "\r\n")


@BROWSERS
def test_what_a_browser_says_of_its_layers(text: str) -> None:
    section = video(text)
    assert (section.rids, section.direction, section.rejected) == (["l", "m", "h"], "sendonly", False)
    assert section.simulcast == []
    extensions = set(section.extensions.values())
    assert {RID, REPAIRED_RID, TRANSPORT_WIDE, DEPENDENCY} <= extensions
    assert SessionDescription.parse(text).extmap_allow_mixed


@BROWSERS
def test_formats_are_whole_in_whatever_order_their_lines_come(text: str) -> None:
    """Firefox writes a=fmtp and a=rtcp-fb before the a=rtpmap that they belong to."""
    section = video(text)
    vp8 = section.codec("VP8")
    assert vp8 is not None
    assert set(vp8.feedback) == {"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"}
    rtx = section.rtx_for(vp8.payload_type)
    assert rtx is not None
    assert rtx.parameter("apt") == str(vp8.payload_type)


PICTURE = CHROMIUM[CHROMIUM.index("m=video") :].rstrip().split("\r\n")


def sorted_feedback(section: MediaSection) -> MediaSection:
    section.codecs = [replace(c, feedback=tuple(sorted(c.feedback))) for c in section.codecs]
    return section


@given(st.permutations(PICTURE[1:]))
def test_the_order_of_attributes_tells_nothing(lines: list[str]) -> None:
    head = CHROMIUM[: CHROMIUM.index("m=video")]
    shuffled = head + "\r\n".join([PICTURE[0], *lines]) + "\r\n"
    assert sorted_feedback(video(shuffled)) == sorted_feedback(video(CHROMIUM))


def test_a_list_of_encodings_counts_before_their_names_come() -> None:
    lines = [f"a=rid:{name} send" for name in "abc"]
    assert with_lines(*lines, simulcast="send c;a;b").rids == ["c", "a", "b"]
    text = CHROMIUM.replace(SIMULCAST, "").replace("a=rid:l send", f"{SIMULCAST}a=rid:l send")
    assert text.index("a=simulcast") < text.index("a=rid:l")
    assert video(text).rids == ["l", "m", "h"]


@pytest.mark.parametrize(
    ("simulcast", "rids"),
    [
        ("send a;~b;c", ["a", "b", "c"]),
        ("send a,b;c", ["a", "c"]),
        ("send x,b;c", ["b", "c"]),
        ("send x;b", ["b"]),
        ("send a;a;b", ["a", "b"]),
        ("recv d send b;a", ["b", "a"]),
        ("send b;a recv d", ["b", "a"]),
        ("recv d", ["a", "b", "c"]),
    ],
)
def test_which_encodings_are_meant(simulcast: str, rids: list[str]) -> None:
    """Paused ones too; of alternatives the first that was declared; in the direction of the section."""
    declared = ["a=rid:a send", "a=rid:b send pt=96;max-width=640", "a=rid:c send", "a=rid:d recv"]
    assert with_lines(*declared, simulcast=simulcast).rids == rids


def test_encodings_that_are_taken_are_those_of_a_receiving_section() -> None:
    text = CHROMIUM.replace("sendonly", "recvonly").replace(" send\r\n", " recv\r\n")
    assert video(text).rids == ["l", "m", "h"]  # declared, though not listed for this direction
    assert video(text.replace("simulcast:send l;m;h", "simulcast:recv h;l")).rids == ["h", "l"]
    assert video(CHROMIUM.replace("sendonly", "recvonly")).rids == []


@pytest.mark.parametrize("direction", ["sendonly", "recvonly"])
def test_layers_are_written_as_they_are_read(direction: str) -> None:
    description = SessionDescription.parse(CHROMIUM)
    section = description.sections[1]
    section.direction = "sendonly" if direction == "sendonly" else "recvonly"
    way = "send" if direction == "sendonly" else "recv"
    text = str(description)
    assert f"a=rid:l {way}\r\na=rid:m {way}\r\na=rid:h {way}\r\na=simulcast:{way} l;m;h\r\n" in text
    assert SessionDescription.parse(text) == description


def test_layers_by_ssrc() -> None:
    group = "a=ssrc-group:SIM 11 22 33 44\r\n" + "".join(
        f"a=ssrc-group:FID {media} {media + 1}\r\n" for media in (11, 22, 33)
    )
    section = with_lines(*group.split())
    assert (section.simulcast, section.rtx) == ([], {})  # the words of a line belong together
    section = with_lines(*group.strip().split("\r\n"))
    assert section.simulcast == [11, 22, 33]  # no more than three are forwarded
    assert section.rtx == {11: 12, 22: 23, 33: 34}
    section.ssrcs = [11, 12, 22, 23, 33, 34]
    written = SessionDescription.parse(CHROMIUM)
    written.sections[1] = section
    assert SessionDescription.parse(str(written)).sections[1].simulcast == [11, 22, 33]


def test_port_0_rejects_a_section_unless_it_comes_with_the_bundle_alone() -> None:
    assert "m=video 0 " in FIREFOX
    assert not video(FIREFOX).rejected
    assert video(FIREFOX.replace("a=bundle-only\r\n", "")).rejected


def test_both_forms_of_extensions_are_allowed_by_all_or_by_each() -> None:
    line = "a=extmap-allow-mixed\r\n"
    whole = CHROMIUM.replace(line, "")
    assert not SessionDescription.parse(whole).extmap_allow_mixed
    one = whole.replace("a=mid:0\r\n", f"a=mid:0\r\n{line}")
    assert not SessionDescription.parse(one).extmap_allow_mixed
    assert SessionDescription.parse(one.replace("a=mid:1\r\n", f"a=mid:1\r\n{line}")).extmap_allow_mixed
    description = SessionDescription.parse(whole)
    assert line not in str(description)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["a=rid:"], "a=rid line is malformed"),
        (["a=rid:a"], "a=rid line is malformed"),
        (["a=rid:ä send"], "a=rid line is malformed"),
        (["a=rid:" + "x" * 17 + " send"], "a=rid line is malformed"),
        (["a=rid:a both"], "neither send nor recv"),
        ([f"a=rid:a{n} send" for n in range(MAX_RIDS + 1)], "more than 16 encodings"),
        (["a=simulcast:"], "a=simulcast line is malformed"),
        (["a=simulcast:send"], "a=simulcast line is malformed"),
        (["a=simulcast:send a recv"], "a=simulcast line is malformed"),
        (["a=simulcast:send a recv b more"], "a=simulcast line is malformed"),
        (["a=simulcast:send a;;b"], "a=simulcast line is malformed"),
        (["a=simulcast:send ~~a"], "a=simulcast line is malformed"),
        (["a=simulcast:send a\u2028b"], "a=simulcast line is malformed"),
        (["a=simulcast:both a"], "neither send nor recv"),
        (["a=simulcast:send a send b"], "direction twice"),
        (["a=simulcast:send " + ";".join("a" * (MAX_RIDS + 1))], "more than 16 encodings"),
        (["a=simulcast:send " + ",".join("a" * (MAX_ALTERNATIVES + 1))], "more than 4 ways"),
        (["a=ssrc-group:SIM 1 x"], "number"),
    ],
)
def test_layers_that_cannot_be_used(lines: list[str], reason: str) -> None:
    with pytest.raises(SdpError, match=reason) as refused:
        with_lines(*lines)
    assert str(refused.value).endswith(".")


@given(st.text(max_size=200))
def test_any_value_is_read_or_refused(text: str) -> None:
    for key in ("rid", "simulcast"):
        try:
            section = with_lines(f"a={key}:{text}")
        except SdpError:
            continue
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,16}", rid) for rid in section.rids)


names = st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True)


@given(st.lists(st.lists(names, min_size=1, max_size=MAX_ALTERNATIVES), max_size=MAX_RIDS), st.sets(names))
def test_names_are_declared_ones_once_each(encodings: list[list[str]], some: set[str]) -> None:
    declared = some | {alternatives[-1] for alternatives in encodings[::2]}
    found = Simulcast(send=tuple(tuple(a) for a in encodings)).names("send", declared)
    assert len(set(found)) == len(found)
    assert set(found) <= declared
    assert {a[-1] for a in encodings[::2] if len(a) == 1} <= set(found)


def test_many_lines_about_one_format_take_no_long_time() -> None:
    """62,000 characters are the most that a message holds, and each line is looked at for each format."""
    types = " ".join(str(n) for n in range(100))
    maps = "".join(f"a=rtpmap:{n} VP8/90000\r\n" for n in range(100))
    section = f"m=video 9 UDP/TLS/RTP/SAVPF {types}\r\n{maps}" + "a=rtcp-fb:* x\r\n" * 400
    text = (CHROMIUM + section * 8)[:62_000]
    began = time.process_time()
    with pytest.raises(SdpError):
        SessionDescription.parse(text)
    assert time.process_time() - began < 1.0


def test_feedback_is_bounded() -> None:
    section = with_lines(*("a=rtcp-fb:96 nack" for _ in range(100)))
    codec: Codec | None = section.codec("VP8")
    assert codec is not None
    assert len(codec.feedback) == 32
