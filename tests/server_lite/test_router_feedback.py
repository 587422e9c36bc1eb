"""What is asked for, repaired and reported: key frames, NACK, RTX, sender and receiver reports."""

from __future__ import annotations

import pytest

from rtc import rtcp, rtx
from rtc.rtp import RtpPacket
from tests.server_lite.call_of_packets import (
    RTX,
    Call,
    SoundSource,
    VideoSource,
    continuous,
    pictures,
)


@pytest.fixture
def call() -> Call:
    return Call()


def test_a_late_joiner_asks_for_a_key_frame_and_starts_with_it(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    ann.frame(key=True)
    call.pass_time(2.0)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    assert call.asked("ann", rtcp.PictureLossIndication) == [rtcp.PictureLossIndication(1, 11)]
    ann.frame()
    assert not call.got("ben", at_ben)
    key = ann.frame(key=True)
    assert pictures(call.got("ben", at_ben)) == pictures(key)


def test_a_muted_camera_is_not_asked_for_pictures(call: Call) -> None:
    VideoSource(call, "ann", "p-ann", 11)
    call.pause("p-ann", True)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    call.pass_time(5.0)
    assert not call.asked("ann", rtcp.PictureLossIndication)


def test_missing_packets_are_sent_again(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True, size=1000)
    lost = call.got("ben", at_ben)[2:5]
    call.send("ben", rtcp.GenericNack(5, at_ben, tuple(p.sequence_number for p in lost)))
    repairs = call.got("ben", at_ben + 1)
    assert [rtx.decapsulate(p, 120, at_ben) for p in repairs] == lost
    assert {p.payload_type for p in repairs} == {121}
    assert continuous(repairs)
    assert call.router.counters.nacks_answered == 3


def test_what_is_too_old_or_was_never_sent_is_not_sent_again(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    number = call.got("ben", at_ben)[0].sequence_number
    call.send("ben", rtcp.GenericNack(5, at_ben, ((number - 1) & 0xFFFF, (number + 100) & 0xFFFF)))
    call.pass_time(2.0)
    call.send("ben", rtcp.GenericNack(5, at_ben, (number,)))
    call.send("ben", rtcp.GenericNack(5, 4711, (number,)))
    call.send("cem", rtcp.GenericNack(5, at_ben, (number,)))  # not his stream
    assert not call.got("ben", at_ben + 1)
    assert not call.rtp["cem"]


def test_one_who_asks_for_everything_again_gets_a_bounded_share(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True, size=40_000)
    numbers = tuple(p.sequence_number for p in call.got("ben", at_ben)[-500:])
    for _ in range(20):
        call.now += 0.01
        for start in range(0, 500, 100):
            call.send("ben", rtcp.GenericNack(5, at_ben, numbers[start : start + 100]))
    assert len(call.got("ben", at_ben + 1)) <= 400 + 0.2 * 400 + 1


def test_what_the_server_misses_it_asks_for_and_forwards(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    packets = ann.packets(key=True, size=1000)
    for packet in packets[:3] + packets[4:]:
        call.send("ann", packet)
    call.pass_time(0.06)
    asked = call.asked("ann", rtcp.GenericNack)
    assert asked[0] == rtcp.GenericNack(1, 11, (packets[3].sequence_number,))
    call.send("ann", rtx.encapsulate(packets[3], RTX, ann.rtx_ssrc, 5))
    got = sorted(call.got("ben", at_ben), key=lambda p: p.sequence_number)
    assert pictures(got) == pictures(packets)
    call.rtcp.clear()
    call.pass_time(0.5)
    assert not call.asked("ann", rtcp.GenericNack)
    assert call.router.counters.nacks_sent >= 1


def test_probes_for_bandwidth_are_no_errors(call: Call) -> None:
    """RTX without content, and padding in the stream itself, whose number must not be missed."""
    ann = VideoSource(call, "ann", "p-ann", 11)
    (at_ben,) = call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    ann.frame(key=True)
    call.send("ann", RtpPacket(RTX, 5, 0, ann.rtx_ssrc, False, b""))
    for _ in range(3):
        call.send("ann", RtpPacket(96, ann.sequence, ann.timestamp, 11, False, b""))
        ann.sequence = (ann.sequence + 1) & 0xFFFF
    ann.frame()
    got = call.got("ben", at_ben)
    assert len(got) == 6
    assert continuous(got)
    call.pass_time(0.1)
    assert not call.asked("ann", rtcp.GenericNack)
    assert call.router.counters.malformed == call.router.counters.unknown_stream == 0


def test_key_frame_requests_of_many_become_few(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    ssrcs = {}
    for n in range(30):
        (ssrcs[f"m{n}"],) = call.receive(f"m{n}", ("r1", "video"))
        call.show(f"m{n}", "r1", "p-ann")
        call.pass_time(0.002, step=0.002)
    assert len(call.asked("ann", rtcp.PictureLossIndication)) == 1
    call.pass_time(0.35)
    assert len(call.asked("ann", rtcp.PictureLossIndication)) == 2  # for those who came after the first
    ann.frame(key=True)
    assert all(len(call.got(member, ssrc)) == 3 for member, ssrc in ssrcs.items())
    call.rtcp.clear()
    call.now += 1.0
    for member, ssrc in ssrcs.items():
        call.send(member, rtcp.PictureLossIndication(7, ssrc))
        call.send(member, rtcp.FullIntraRequest(7, ((ssrc, 1),)))
    assert len(call.asked("ann", rtcp.PictureLossIndication)) == 1


def test_a_request_that_got_lost_is_repeated_until_a_key_frame_comes(call: Call) -> None:
    ann = VideoSource(call, "ann", "p-ann", 11)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    call.pass_time(3.5)
    assert len(call.asked("ann", rtcp.PictureLossIndication)) == 4
    ann.frame(key=True)
    call.rtcp.clear()
    call.pass_time(3.0)
    assert not call.asked("ann", rtcp.PictureLossIndication)


def test_nobody_is_asked_for_what_nobody_watches_any_more(call: Call) -> None:
    VideoSource(call, "ann", "p-ann", 11)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    call.router.remove_member("ben")
    call.rtcp.clear()
    call.pass_time(3.0)
    assert not call.asked("ann", rtcp.PictureLossIndication)


def test_reports_of_a_sender_are_told_in_the_receiver_s_numbers(call: Call) -> None:
    ann, ben = VideoSource(call, "ann", "p-ann", 11), VideoSource(call, "ben", "p-ben", 21, sequence=9)
    ben.timestamp = 5
    (at_cem,) = call.receive("cem", ("r1", "video"))
    call.show("cem", "r1", "p-ann")
    ann.frame(key=True)
    call.now += 0.5
    call.show("cem", "r1", "p-ben")
    sent = ben.frame(key=True)[0]
    got = call.got("cem", at_cem)[-1]
    call.rtcp.clear()
    call.send("ben", rtcp.SenderReport(21, 0x1234_5678_9ABC_DEF0, sent.timestamp + 900, 3, 999))
    (report,) = call.asked("cem", rtcp.SenderReport)
    assert isinstance(report, rtcp.SenderReport)
    assert report.ssrc == at_cem
    assert report.ntp_time == 0x1234_5678_9ABC_DEF0
    assert (report.rtp_timestamp - got.timestamp) & 0xFFFFFFFF == 900
    assert report.packet_count == 6
    assert report.octet_count == sum(len(p.payload) for p in call.got("cem", at_cem))
    assert call.asked("cem", rtcp.SourceDescription)


def test_reports_that_concern_nobody_go_nowhere(call: Call) -> None:
    VideoSource(call, "ann", "p-ann", 11)
    call.receive("ben", ("r1", "video"))
    call.show("ben", "r1", "p-ann")
    call.rtcp.clear()
    call.send("ann", rtcp.SenderReport(11, 1, 1, 0, 0))  # before the first packet
    call.send("ann", rtcp.SenderReport(99, 1, 1, 0, 0))
    call.send("ben", rtcp.SenderReport(11, 1, 1, 0, 0))  # of another's stream
    assert not call.rtcp["ben"]


def test_each_second_a_sender_hears_how_it_arrives(call: Call) -> None:
    ann, voice = VideoSource(call, "ann", "p-ann", 11), SoundSource(call, "ann", "p-voice", 31)
    packets = ann.packets(key=True, size=900)
    for packet in packets[:4] + packets[6:]:
        call.send("ann", packet)
    voice.say()
    call.pass_time(1.1)
    *_, report = call.asked("ann", rtcp.ReceiverReport)
    assert isinstance(report, rtcp.ReceiverReport)
    blocks = {block.ssrc: block for block in report.reports}
    assert set(blocks) == {11, 31}
    assert blocks[11].cumulative_lost == 2
    *_, estimate = call.asked("ann", rtcp.ReceiverEstimate)
    assert isinstance(estimate, rtcp.ReceiverEstimate)
    assert estimate.ssrcs == (11,)
    assert 2_400_000 < estimate.bitrate <= 2_500_000
