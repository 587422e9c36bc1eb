"""Sources and sections that come, change and go while a call runs."""

from __future__ import annotations

import pytest

from rtc import rtcp, rtx
from rtc.fanout import MAX_INCOMING_SSRCS
from rtc.rtp import RtpPacket
from server_lite.loudest import VOICES
from tests.server_lite.call_of_packets import (
    MID_ID,
    RTX,
    Call,
    SoundSource,
    VideoSource,
    continuous,
    pictures,
    receiver_plan,
    video_plan,
)


@pytest.fixture
def call() -> Call:
    return Call()


def test_a_stream_that_the_offer_did_not_name_is_found_by_its_section(call: Call) -> None:
    call.publish("p-ann", "ann", video_plan("cam", None))
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann = VideoSource.__new__(VideoSource)
    ann.call, ann.member, ann.ssrc = call, "ann", 77
    ann.sequence, ann.timestamp, ann.picture, ann.sent = 5, 0, 0, {}
    first = ann.packets(key=True, size=400)
    call.send("ann", first[0])
    for packet in first[1:2] + first[3:]:
        packet.extensions = {}  # browsers leave it out once they were heard
        call.send("ann", packet)
    repair = rtx.encapsulate(first[2], RTX, 78, 1)  # with the section's name, in another unknown SSRC
    call.send("ann", repair)
    assert len(call.got("ben", at_ben)) == len(first)
    stranger = RtpPacket(96, 5, 5, 79, False, b"\x10\x00", extensions={MID_ID: b"cam"})
    call.send("ann", stranger)  # a third stream for the same section
    call.send("ann", RtpPacket(96, 5, 5, 80, False, b"\x10\x00", extensions={MID_ID: b"other"}))
    call.send("ben", RtpPacket(96, 5, 5, 77, False, b"\x10\x00", extensions={MID_ID: b"cam"}))
    assert call.router.counters.unknown_stream == 3
    assert len(call.got("ben", at_ben)) == len(first)


def test_unnamed_streams_of_a_section_are_bounded(call: Call) -> None:
    call.publish("p-ann", "ann", video_plan("cam", None))
    for ssrc in range(1000, 1100):
        call.send("ann", RtpPacket(RTX, 5, 5, ssrc, False, b"\x00\x05\x10\x00", extensions={MID_ID: b"cam"}))
    bounded = call.plane.counters()["too-many-streams"]
    assert bounded == 100 - MAX_INCOMING_SSRCS
    assert call.router.counters.unknown_stream == MAX_INCOMING_SSRCS


def test_a_source_on_a_new_path_keeps_its_receivers(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    call.pass_time(5.0)
    call.forget_what_came()
    again = VideoSource(call, "ann", "p-ann", 51, sequence=12345)
    ann.frame(key=True)  # the old path's last words
    assert not call.rtp["ben"]
    again.frame()
    assert call.asked("ann", rtcp.PictureLossIndication) == [rtcp.PictureLossIndication(1, 51)]
    last = again.frame(key=True)
    assert pictures(call.got("ben", at_ben)) == pictures(last)


def test_a_source_that_begins_anew_with_the_same_names(call: Call) -> None:
    """A new path may carry the same SSRC: its numbers have nothing to do with those before."""
    ann = VideoSource(call, "ann", "p-ann", 11, sequence=100)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    ann.sequence = 40_000
    call.router.add_producer("p-ann", "ann", ann.plan, restarted=True)
    ann.frame()
    ann.frame(key=True)
    assert continuous(call.got("ben", at_ben))
    assert len(call.got("ben", at_ben)) == 6
    call.pass_time(0.1)
    assert not call.asked("ann", rtcp.GenericNack)


def test_the_same_offer_again_disturbs_nothing(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    call.publish("p-ann", "ann", ann.plan)
    ann.frame()
    assert continuous(call.got("ben", at_ben))
    assert len(call.got("ben", at_ben)) == 6


def test_a_source_may_take_over_the_stream_of_one_that_ends(call: Call) -> None:
    VideoSource(call, "ann", "p-old", 11)
    new = VideoSource(call, "ann", "p-new", 11)
    call.router.remove_producer("p-old")
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-new")
    new.frame(key=True)
    assert len(call.got("ben", at_ben)) == 3


def test_sections_that_are_not_named_any_more_end(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    kept, ended = receiver_plan("r1", "video", 500), receiver_plan("r2", "video", 600)
    call.enter("ben")
    call.router.set_consumers("ben", [kept, ended])
    call.show("ben", "r1", "p-ann")
    call.show("ben", "r2", "p-ann")
    ann.frame(key=True)
    call.router.set_consumers("ben", [kept])
    ann.frame()
    assert len(call.got("ben", 500)) == 6
    assert len(call.got("ben", 600)) == 3
    assert continuous(call.got("ben", 500))


def test_an_ended_source_leaves_its_sections_empty(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    call.router.remove_producer("p-ann")
    call.forget_what_came()
    ann.frame(key=True)
    assert not call.rtp["ben"]
    assert call.router.wants("ben") == {}
    assert call.router.counters.unknown_stream == 3


def test_one_who_left_leaves_nothing_behind(call: Call) -> None:
    empty = Call().router.dump()
    for member in ("ann", "ben"):
        VideoSource(call, member, f"v-{member}", 11 if member == "ann" else 21)
        SoundSource(call, member, f"s-{member}", 31 if member == "ann" else 41).say(20)
    for member, other in (("ann", "ben"), ("ben", "ann")):
        call.receive(member, ("r1", "video"), ("r2", "audio"))
        call.show(member, "r1", f"v-{other}")
        call.show(member, "r2", f"s-{other}")
    call.pass_time(0.1)
    call.router.remove_member("ann")
    dump = call.router.dump()
    assert "ann" not in str(dump)
    call.router.remove_member("ben")
    assert call.router.dump() == empty
    held = {name: value for name, value in vars(call.router).items() if isinstance(value, dict) and value}
    assert held == {}
    call.pass_time(2.0)


def test_a_hundred_members_in_one_room() -> None:
    """All speak equally loud: the three who began reach the 99 others, each packet once."""
    call = Call()
    members = [f"m{n}" for n in range(100)]
    sources = [SoundSource(call, member, f"s-{member}", 1000 + n) for n, member in enumerate(members)]
    for number, member in enumerate(members):
        plans = [
            receiver_plan(f"r-{other}", "audio", 100_000 + 1000 * number + n)
            for n, other in enumerate(members)
            if other != member
        ]
        call.enter(member)
        call.router.set_consumers(member, plans)
        for other in members:
            if other != member:
                call.show(member, f"r-{other}", f"s-{other}")
    rounds = 3
    for _ in range(rounds):
        for source in sources:
            source.say()
        call.pass_time(0.02)
    for member, own in zip(members, sources, strict=True):
        heard = [int.from_bytes(p.payload[1:], "big") for p in call.rtp[member]]
        wanted = {source.ssrc for source in sources[:VOICES]} - {own.ssrc}
        assert sorted(heard) == sorted([*wanted] * rounds)
    assert call.router.counters.packets_in == 100 * rounds
    for member in members:
        call.router.remove_member(member)
    assert call.router.dump() == Call().router.dump()
