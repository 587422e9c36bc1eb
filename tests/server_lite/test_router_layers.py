"""Sources in layers: each receiver gets what it shows and can take, and never notices a change."""

from __future__ import annotations

import itertools

import pytest

from rtc import rtcp, rtx, vp8
from rtc.header_extensions import encode_mid
from rtc.reports import to_ntp
from rtc.rtp import RtpPacket
from server_lite.ladder import NO_CAPS, Caps
from server_lite.negotiation import LayerPlan
from tests.server_lite.call_of_packets import (
    MID_ID,
    REPAIRED_RID_ID,
    RID_ID,
    RTX,
    Call,
    continuous,
    layered_plan,
)

HEIGHTS = {"l": 180, "m": 360, "h": 720}
BYTES = {"l": 500, "m": 1800, "h": 6000}  # of a frame: 0.12, 0.43 and 1.4 Mbit/s at 30 a second


class Layered:
    """A camera in three layers, whose sender answers requests for key frames with the next frame."""

    def __init__(
        self, call: Call, member: str, producer: str, first_ssrc: int, *, named: bool = True
    ) -> None:
        self.call, self.member, self.producer, self.named = call, member, producer, named
        self.ssrcs = {rid: first_ssrc + 10 * n for n, rid in enumerate(HEIGHTS)}
        self.sequences = {rid: 60_000 + 1000 * n for n, rid in enumerate(HEIGHTS)}
        self.frames = 0
        self.off: set[str] = set()
        self.keys_made = dict.fromkeys(HEIGHTS, 0)
        layers = [LayerPlan(rid, ssrc if named else None, None) for rid, ssrc in self.ssrcs.items()]
        call.publish(producer, member, layered_plan("cam", *layers))

    def frame(self, *, key: bool = False) -> None:
        """One picture in all layers that are on."""
        asked = {p.media_ssrc for p in self.call.asked(self.member, rtcp.PictureLossIndication)}
        self.call.rtcp[self.member].clear()
        for rid, ssrc in self.ssrcs.items():
            if rid not in self.off:
                self._send(rid, ssrc, key or ssrc in asked or self.frames == 0)
        self.frames += 1

    def _send(self, rid: str, ssrc: int, key: bool) -> None:
        self.keys_made[rid] += key
        head = b"\x10\x00\x00\x9d\x01\x2a" + bytes(2) + HEIGHTS[rid].to_bytes(2, "little")
        data = (head if key else b"\x11" * 10) + bytes([HEIGHTS[rid] // 4]) * BYTES[rid]
        for index, payload in enumerate(vp8.packetize(data, self.frames & 0x7FFF, 1100, self.frames & 0xFF)):
            last = index == -(-len(data) // 1090) - 1
            packet = RtpPacket(96, self.sequences[rid] & 0xFFFF, self.timestamp(rid), ssrc, last, payload)
            packet.extensions = {MID_ID: encode_mid("cam"), RID_ID: rid.encode()}
            self.sequences[rid] += 1
            self.call.send(self.member, packet)

    def timestamp(self, rid: str) -> int:
        """Each layer has a clock of its own."""
        return (self.frames * 3000 + 1_000_000 * len(rid) + HEIGHTS[rid] * 77_777) & 0xFFFFFFFF

    def play(self, seconds: float) -> None:
        for _ in range(round(seconds * 30)):
            self.frame()
            self.call.pass_time(1 / 30, step=1 / 60)

    def report(self) -> None:
        """Sender reports of all layers: these clocks show the same moment."""
        for rid, ssrc in self.ssrcs.items():
            self.call.send(
                self.member, rtcp.SenderReport(ssrc, to_ntp(self.frames / 30), self.timestamp(rid), 1, 1)
            )


@pytest.fixture
def call() -> Call:
    return Call()


def heights(packets: list[RtpPacket]) -> list[int]:
    """The layer of each packet, by what it is filled with."""
    return [4 * packet.payload[-1] for packet in packets]


def joined(call: Call, *members: str, **options: bool) -> tuple[Layered, dict[str, int]]:
    camera = Layered(call, "ann", "p-ann", 100, **options)
    sections = {}
    for member in members:
        (sections[member],) = call.receive(member, ("r1", "video"))
        call.show(member, "r1", "p-ann")
    return camera, sections


def view(call: Call, member: str, height: int, main: str | None = None) -> None:
    call.router.view(member, {"p-ann": height}, main, call.microseconds)
    call.take()


def test_each_gets_the_layer_that_it_shows(call: Call) -> None:
    camera, sections = joined(call, "big", "middle", "small", "hidden")
    for member, height in (("big", 720), ("middle", 360), ("small", 180), ("hidden", 0)):
        view(call, member, height)
    camera.play(3.0)
    call.forget_what_came()
    camera.play(1.0)
    got = {member: set(heights(call.got(member, ssrc))) for member, ssrc in sections.items()}
    assert got == {"big": {720}, "middle": {360}, "small": {180}, "hidden": set()}


def test_layers_are_found_by_their_names_where_the_offer_says_no_ssrc(call: Call) -> None:
    camera, sections = joined(call, "ben", named=False)
    camera.play(3.0)
    call.forget_what_came()
    camera.play(0.5)
    assert set(heights(call.got("ben", sections["ben"]))) == {720}
    layers = call.router.producers["p-ann"].layers
    assert {layer.rid: layer.ssrc for layer in layers} == camera.ssrcs
    # A repair under an SSRC nobody named finds its layer by the name that it repairs (RFC 8852).
    lost = RtpPacket(
        96, camera.sequences["h"] & 0xFFFF, camera.timestamp("h"), camera.ssrcs["h"], False, b"\x00\x01"
    )
    camera.sequences["h"] += 1
    repair = rtx.encapsulate(lost, RTX, 999, 1)
    repair.extensions = {MID_ID: encode_mid("cam"), REPAIRED_RID_ID: b"h"}
    call.send("ann", repair)
    assert layers[2].rtx_ssrc == 999


def test_a_switch_is_not_seen_in_the_numbers(call: Call) -> None:
    camera, sections = joined(call, "ben")
    for height in (720, 180, 360, 720, 180):
        view(call, "ben", height)
        camera.play(1.0)
        camera.report()
    got = call.got("ben", sections["ben"])
    assert {180, 360, 720} <= set(heights(got))
    assert continuous(got)
    pictures = [vp8.Vp8Descriptor.parse(p.payload)[0] for p in got]
    for earlier, later in itertools.pairwise(pictures):
        assert earlier.picture_id is not None
        assert later.picture_id is not None
        assert (later.picture_id - earlier.picture_id) & 0x7FFF in (0, 1)
    for (height, packet), (next_height, after) in itertools.pairwise(zip(heights(got), got, strict=True)):
        if height != next_height:
            assert vp8.starts_key_frame(after.payload)
            assert 0 < (after.timestamp - packet.timestamp) & 0xFFFFFFFF < 90000 // 2


def test_a_switch_keeps_the_time_of_the_capture(call: Call) -> None:
    """With sender reports the clocks of layers are aligned to the tick, whenever the packets came."""
    camera, sections = joined(call, "ben")
    camera.play(0.5)
    camera.report()
    view(call, "ben", 180)
    camera.play(1.0)
    view(call, "ben", 720)
    camera.play(1.0)
    times = sorted({p.timestamp for p in call.got("ben", sections["ben"])[-60:]})
    assert {b - a for a, b in itertools.pairwise(times)} == {3000}


def test_packets_that_come_twice_are_no_rate_of_their_layer(call: Call) -> None:
    """Browsers probe for bandwidth with repairs of what has arrived."""
    camera, _ = joined(call, "ben")
    camera.play(3.0)
    layer = call.router.producers["p-ann"].layers[0]
    assert 100_000 < layer.rate < 160_000
    body = b"\x10" + bytes(1000)
    for number in range(600):
        camera.play(1 / 30)
        again = camera.sequences["l"] - 1 & 0xFFFF
        repair = rtx.encapsulate(
            RtpPacket(96, again, camera.timestamp("l"), 100, False, body), RTX, 999, number
        )
        repair.extensions = {MID_ID: encode_mid("cam"), REPAIRED_RID_ID: b"l"}
        call.send("ann", repair)
    assert layer.rtx_ssrc == 999
    assert layer.repaired >= 599
    assert 100_000 < layer.rate < 160_000


def test_an_encoder_that_pauses_after_a_key_frame_has_not_become_cheap(call: Call) -> None:
    camera, _ = joined(call, "ben")
    camera.play(6.0)
    layer = call.router.producers["p-ann"].layers[2]
    before = layer.rate
    camera.off = {"h"}
    camera.play(0.7)
    camera.off = set()
    camera.play(0.5)
    assert layer.rate > 0.65 * before


def test_a_layer_that_its_sender_stops_is_left_for_another(call: Call) -> None:
    camera, sections = joined(call, "ben")
    camera.play(2.0)
    camera.off = {"h"}
    camera.play(1.0)
    call.forget_what_came()
    camera.play(0.5)
    assert set(heights(call.got("ben", sections["ben"]))) == {360}
    camera.off = set()
    camera.play(8.0)
    call.forget_what_came()
    camera.play(0.5)
    assert set(heights(call.got("ben", sections["ben"]))) == {720}


def test_only_the_layer_that_is_waited_for_is_asked_for_a_key_frame(call: Call) -> None:
    camera, _ = joined(call, "ben")
    camera.play(2.0)
    before = dict(camera.keys_made)
    view(call, "ben", 180)
    camera.play(1.0)
    made = {rid: camera.keys_made[rid] - before[rid] for rid in before}
    assert made == {"l": 1, "m": 0, "h": 0}


def test_what_others_show_changes_nothing_for_one(call: Call) -> None:
    camera, sections = joined(call, "ann2", "ben")
    camera.play(2.0)
    call.forget_what_came()
    for height in (180, 0, 360, 720):
        view(call, "ann2", height)
        camera.play(0.7)
    got = call.got("ben", sections["ben"])
    assert set(heights(got)) == {720}
    assert continuous(got)


def test_an_overloaded_server_lowers_layers_and_says_so(call: Call) -> None:
    camera, sections = joined(call, "ben")
    camera.play(2.0)
    call.states.clear()
    call.router.limit(Caps(max_height=180), None)
    camera.play(1.0)
    call.forget_what_came()
    camera.play(0.3)
    assert set(heights(call.got("ben", sections["ben"]))) == {180}
    assert call.states[-1] == ("ben", {"p-ann": ("lower", "load")})
    call.router.limit(NO_CAPS, None)
    camera.play(8.0)
    assert set(heights(call.got("ben", sections["ben"])[-20:])) == {720}
    assert call.states[-1][1]["p-ann"][0] == "full"


def test_in_large_rooms_the_last_speakers_are_seen_and_who_was_chosen_by_name(call: Call) -> None:
    cameras = [Layered(call, f"m{n}", f"p{n}", 1000 + 100 * n) for n in range(4)]
    mids = [(f"r{n}", "video") for n in range(4)]
    ssrcs = call.receive("ben", *mids)
    for n in range(4):
        call.show("ben", f"r{n}", f"p{n}")
    call.router.limit(NO_CAPS, 2)
    call.router.view("ben", dict.fromkeys(("p0", "p1", "p2", "p3"), 180), "p3", call.microseconds)
    for _ in range(30):
        for camera in cameras:
            camera.frame()
        call.pass_time(1 / 30)
    seen = [bool(call.got("ben", ssrc)[-1:]) for ssrc in ssrcs]
    assert (seen[0], seen[1], seen[3]) == (True, True, True)
    assert {p: s for _, states in call.states for p, s in states.items()}["p2"] == ("paused", "last-n")


def test_a_member_that_sends_too_much_is_paused_and_nobody_else(call: Call) -> None:
    camera, sections = joined(call, "ben")
    camera.play(1.0)
    call.forget_what_came()
    for _ in range(60):  # 600 pictures of 66 kbit within two seconds
        for _ in range(10):
            camera.frame()
        call.pass_time(1 / 30)
    assert call.router.counters.over_cap > 0
    call.forget_what_came()
    camera.play(4.0)
    assert heights(call.got("ben", sections["ben"])[-10:]) == [720] * 10


def test_sections_of_voices_carry_whoever_is_loud() -> None:
    from server_lite.voices import VOICE
    from tests.server_lite.call_of_packets import SoundSource

    call = Call()
    sources = [SoundSource(call, f"m{n:02}", f"s{n:02}", 1000 + n) for n in range(30)]
    ssrcs = call.receive("ben", ("v0", "audio"), ("v1", "audio"), ("v2", "audio"))
    for mid in ("v0", "v1", "v2"):
        call.show("ben", mid, VOICE)
    for talkers in ((3, 4, 5), (4, 5, 6), (20, 21, 22)):
        for _ in range(120):
            for number, source in enumerate(sources):
                source.say(20 if number in talkers else 90)
            call.pass_time(0.02)
        call.forget_what_came()
        for number in talkers:
            sources[number].say(20)
        heard = {
            mid: {int.from_bytes(p.payload[1:], "big") - 1000 for p in call.got("ben", ssrc)}
            for mid, ssrc in zip(("v0", "v1", "v2"), ssrcs, strict=True)
        }
        assert sorted(n for numbers in heard.values() for n in numbers) == sorted(talkers)
        assert {mid: {int(p[1:])} for mid, p in call.voices["ben"].items() if p} == heard
    assert all(len(call.got("ben", ssrc)) == 1 for ssrc in ssrcs)
