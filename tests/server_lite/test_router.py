"""The media of a room in virtual time: the right packet to the right member."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import rtcp, vp8
from rtc.rtp import RtpPacket
from tests.server_lite.call_of_packets import (
    LEVEL_ID,
    MID_ID,
    Call,
    SoundSource,
    VideoSource,
    continuous,
    pictures,
)


@pytest.fixture
def call() -> Call:
    return Call()


def test_each_picture_reaches_those_who_asked_for_it(call: Call) -> None:
    ann, ben = VideoSource(call, "ann", "p-ann", 11), VideoSource(call, "ben", "p-ben", 21)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    at_cem, also_at_cem = call.receive("cem", ("r1", "video"), ("r2", "video"))
    call.show("ben", "r1", "p-ann")
    call.show("cem", "r1", "p-ann")
    call.show("cem", "r2", "p-ben")
    from_ann = ann.frame(key=True) + ann.frame()
    from_ben = ben.frame(key=True)
    assert pictures(call.got("ben", at_ben)) == pictures(from_ann)
    assert pictures(call.got("cem", at_cem)) == pictures(from_ann)
    assert pictures(call.got("cem", also_at_cem)) == pictures(from_ben)
    assert not call.rtp["ann"]
    assert {p.payload_type for p in call.rtp["cem"]} == {120}
    assert [p.marker for p in call.got("ben", at_ben)] == [p.marker for p in from_ann]
    assert {p.extensions[MID_ID] for p in call.got("cem", also_at_cem)} == {b"r2"}


def test_a_stream_stays_one_over_switches(call: Call) -> None:
    sources = [VideoSource(call, f"m{n}", f"p{n}", 11 + 10 * n, sequence=65000 + 20000 * n) for n in range(3)]
    (at_ben,) = call.receive("ben", ("r1", "video"))
    for turn in range(30):
        source = sources[turn % 3]
        call.show("ben", "r1", source.producer)
        for other in sources:
            other.frame()  # not yet: it starts at a key frame
        source.frame(key=True)
        for _ in range(3):
            call.pass_time(0.033)
            for other in sources:
                other.frame()
    got = call.got("ben", at_ben)
    assert len(got) == 30 * 4 * 3
    assert continuous(got)
    ids = [vp8.Vp8Descriptor.parse(p.payload)[0].picture_id for p in got if p.marker]
    assert all(a is not None and b == (a + 1) & 0x7FFF for a, b in itertools.pairwise(ids))
    times = [p.timestamp for p in got if p.marker]
    assert all(0 < (b - a) & 0xFFFFFFFF < 90000 for a, b in itertools.pairwise(times))


def test_showing_the_same_again_changes_nothing(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    call.forget_what_came()
    call.show("ben", "r1", "p-ann")
    frame = ann.frame()
    assert pictures(call.got("ben", at_ben)) == pictures(frame)
    assert not call.rtcp["ann"]


def test_nothing_is_shown_after_null(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    call.show("ben", "r1", None)
    call.forget_what_came()
    ann.frame(key=True)
    assert not call.rtp["ben"]
    assert call.router.wants("ben") == {}


@pytest.mark.parametrize("gone", ["p-gone", "p-sound"])
def test_a_producer_that_is_gone_does_not_leave_another_in_its_place(call: Call, gone: str) -> None:
    """Ben would take Ann's picture for that of whom he chose."""
    ann = VideoSource(call, "ann", "p-ann", 11)
    SoundSource(call, "ann", "p-sound", 31)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    call.show("ben", "r1", gone)
    call.forget_what_came()
    ann.frame(key=True)
    assert not call.rtp["ben"]
    assert call.router.wants("ben") == {}


def test_unknown_sections_and_members_are_ignored(call: Call) -> None:
    VideoSource(call, "ann", "p-ann", 11)
    call.show("nobody", "r1", "p-ann")
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r2", "p-ann")
    call.pause("p-nobody", True)
    call.router.remove_producer("p-nobody")
    call.router.remove_member("nobody")


def test_a_muted_source_is_dropped_and_comes_back_with_a_key_frame(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    before = len(call.rtp["ben"])
    call.pause("p-ann", True)
    ann.frame(key=True)
    assert len(call.rtp["ben"]) == before
    assert call.router.counters.muted == 3
    call.pass_time(3.0)
    call.forget_what_came()
    call.pause("p-ann", False)
    assert len(call.asked("ann", rtcp.PictureLossIndication)) == 1
    ann.frame()
    assert not call.got("ben", at_ben)
    ann.frame(key=True)
    assert len(call.got("ben", at_ben)) == 3
    call.forget_what_came()
    call.pause("p-ann", False)
    assert not call.rtcp["ann"]


def test_sound_needs_no_key_frame_and_carries_its_level(call: Call) -> None:
    ann = SoundSource(call, "ann", "p-ann", 31)
    (at_ben,) = call.receive("ben", ("r1", "audio"))
    call.show("ben", "r1", "p-ann")
    said = [ann.say(40) for _ in range(5)]
    got = call.got("ben", at_ben)
    assert [p.payload for p in got] == [p.payload for p in said]
    assert {p.extensions[LEVEL_ID] for p in got} == {said[0].extensions[LEVEL_ID]}
    assert continuous(got)
    assert not call.asked("ann", rtcp.PictureLossIndication)


@given(
    st.lists(
        st.binary(max_size=60) | st.binary(max_size=40).map(lambda b: b"\x80\x60\x00\x01" + b), max_size=20
    )
)
def test_whatever_comes_is_counted_and_dropped(datagrams: list[bytes]) -> None:
    call = Call()
    VideoSource(call, "ann", "p-ann", 0)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    for data in datagrams:
        for member in ("ann", "ben", "nobody"):
            call.send(member, data)
    call.pass_time(0.1)
    assert call.plane.counters()["received"] == 3 * len(datagrams)
    assert not call.rtp["ben"] or datagrams


def test_what_cannot_be_read_is_counted(call: Call) -> None:
    VideoSource(call, "ann", "p-ann", 11)
    for data in (b"", b"\x80", b"\x80\xc8\x00\xff", b"\x40" * 20, b"\x90\x60" + bytes(11)):
        call.send("ann", data)
    assert call.plane.counters()["malformed"] == 5
    call.send("ann", b"\x80\xc9\x00\x05" + bytes(8))  # a length that lies, under a good seal
    assert call.router.counters.malformed == 1
    call.send("ann", RtpPacket(96, 1, 1, 11, False, b"\x90"))  # ends inside its descriptor
    assert call.plane.counters()["malformed"] == 6
    call.send("ann", RtpPacket(33, 2, 1, 11, False, b"\x10"))  # a payload type that was not agreed
    assert call.router.counters.unknown_stream == 1


def test_a_receiver_without_the_codec_gets_nothing_and_asks_for_nothing(call: Call) -> None:
    VideoSource(call, "ann", "p-ann", 11)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    call.pass_time(0.5)
    call.rtcp.clear()
    for n in range(50):
        call.send("ann", RtpPacket(102, n, n, 11, True, b"\x41" + bytes(20)))
    assert not call.rtp["ben"]
    assert not call.asked("ann", rtcp.PictureLossIndication)


def test_the_speaker_is_heard_by_the_levels(call: Call) -> None:
    ann, ben = SoundSource(call, "ann", "s-ann", 31), SoundSource(call, "ben", "s-ben", 41)
    for _ in range(50):
        ann.say(25)
        ben.say(80)
        call.pass_time(0.02)
    assert call.router.speaker.current == "ann"
    call.pause("s-ann", True)
    assert call.router.speaker.current is None


@given(st.data())
def test_any_order_of_what_members_do_keeps_streams_whole(data: st.DataObject) -> None:
    """Shows, pauses, ends and frames in any order: no gap, no repetition, nothing of one not chosen."""
    call = Call()
    sources = {
        f"p{n}": VideoSource(call, f"m{n}", f"p{n}", 11 + 10 * n, sequence=n * 21845) for n in range(3)
    }
    (at_ben,) = call.receive("ben", ("r1", "video"))
    chosen: str | None = None
    for _ in range(data.draw(st.integers(1, 40))):
        producer = data.draw(st.sampled_from(sorted(sources)))
        before = len(call.got("ben", at_ben))
        match data.draw(st.integers(0, 5)):
            case 0:
                chosen = data.draw(st.sampled_from([producer, None]))
                call.show("ben", "r1", chosen)
            case 1:
                call.pause(producer, data.draw(st.booleans()))
            case 2:
                call.pass_time(data.draw(st.sampled_from([0.02, 0.4, 2.0])))
            case _:
                sources[producer].frame(key=data.draw(st.booleans()))
                new = call.got("ben", at_ben)[before:]
                assert not new or producer == chosen
                fill = bytes([sources[producer].ssrc])
                assert all(p.payload.endswith(fill) for p in new)
    assert continuous(call.got("ben", at_ben))
