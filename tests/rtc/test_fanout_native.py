"""Both forwarding planes through the public door, against libsrtp at the other end: what is sealed and
opened, replays, roll-overs, keys."""

from __future__ import annotations

import pickle
import traceback

import pytest

from rtc.fanout import MAX_DATAGRAM, MAX_INCOMING_SSRCS, Kind, MasterKey, Profile
from rtc.rtp import RtpPacket
from rtc.srtp_session import SrtpSession
from tests.rtc.fanout_sealed import (
    OUT_SSRC,
    SSRC,
    MakePlane,
    SealedCall,
    each_plane,
    each_profile,
    master_key,
)

#: Bytes that sealing adds to a packet of RTP.
TAGS = {Profile.AES_128_CM_SHA1_80: 10, Profile.AES_128_GCM: 16, Profile.AES_256_GCM: 16}


@each_plane
@each_profile
def test_sound_goes_through_and_libsrtp_reads_it(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    payloads = [bytes((size & 0xFF,)) * size for size in (1, 2, 15, 16, 17, 63, 64, 500, 1400)]
    for sequence, payload in enumerate(payloads):
        (record,) = call.comes(call.seal(sequence, payload))
        assert (record.kind, record.stream, record.size) == (Kind.RTP, call.stream, len(payload))
        clear = RtpPacket.parse(call.plane.packet(0))
        assert (clear.ssrc, clear.sequence_number, clear.payload) == (SSRC, sequence, payload)
    packets = call.packets()
    assert [packet.payload for packet in packets] == payloads
    assert [packet.sequence_number for packet in packets] == list(range(len(payloads)))
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(OUT_SSRC, 109)}
    assert [packet.extensions[3] for packet in packets] == [n.to_bytes(2, "big") for n in range(9)]


@each_plane
@each_profile
def test_the_largest_packet_and_one_byte_more(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    room = MAX_DATAGRAM - 12 - TAGS[profile]
    (record,) = call.comes(call.seal(1, bytes(room)))
    assert record.size == room
    # The transport-wide number makes it longer than a datagram may be.
    assert call.packets() == []
    assert call.plane.counters()["unsendable"] == 1
    call.comes(call.seal(2, bytes(room - 8)))
    assert [len(packet.payload) for packet in call.packets()] == [room - 8]
    assert list(call.plane.deliver(bytes((0x80,)) * (MAX_DATAGRAM + 1), b"A", 0)) == []
    assert call.plane.counters()["too-long"] == 1


@each_plane
@each_profile
def test_reports_are_opened_and_sealed(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    for index, size in enumerate((8, 12, 28, 1000)):
        report = b"\x80\xc9" + (size // 4 - 1).to_bytes(2, "big") + SSRC.to_bytes(4, "big")
        report += bytes((index,)) * (size - 8)
        sealed = call.sender.seal_rtcp(report)
        assert sealed is not None
        (record,) = call.plane.deliver(sealed, b"A", call.now)
        assert (record.kind, record.size) == (Kind.RTCP, size)
        assert call.plane.packet(0) == report
        assert list(call.plane.deliver(sealed, b"A", call.now)) == []  # a replay
        call.plane.send_rtcp(call.source, report, call.now)
        assert [call.back.open_rtcp(data) for data in call.datagrams()] == [report]
    assert call.plane.counters()["srtp"] == 4


@each_plane
@each_profile
def test_whole_packets_are_sealed_as_they_are(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    packet = RtpPacket(111, 7, 8, 99, True, b"payload", (1, 2), {1: b"\x05"}).serialize()
    call.plane.send_rtp(call.source, packet, call.now)
    (data,) = call.datagrams()
    assert data[: len(packet) - 7] == packet[:-7]
    assert packet[-7:] not in data
    assert call.back.open_rtp(data) == packet


@each_plane
@each_profile
def test_what_was_changed_on_the_way_is_refused(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    good = call.seal(1, b"twelve bytes")
    for place in range(2, len(good)):
        changed = bytearray(good)
        changed[place] ^= 1
        assert call.comes(bytes(changed)) == []
    assert call.plane.counters()["srtp"] == len(good) - 2
    for size in range(12, len(good)):
        assert call.comes(good[:size]) == []
    assert len(call.comes(good)) == 1  # what was forged before took nobody's place
    assert len(call.packets()) == 1


@each_plane
@each_profile
def test_a_replay_is_refused_under_its_ssrc_alone(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    other = call.open_stream(10)
    first = {ssrc: [call.seal(number, ssrc=ssrc) for number in range(200)] for ssrc in (SSRC, 10)}
    for number in (0, 50, 20, 199, 73):
        assert [len(call.comes(first[ssrc][number])) for ssrc in (SSRC, 10)] == [1, 1]
    replays = [first[ssrc][number] for ssrc in (SSRC, 10) for number in (199, 73)]
    assert [call.comes(data) for data in replays] == [[], [], [], []]
    # The window is 128 wide: 71 behind is too old, whether it came or not; 72 is not.
    assert [len(call.comes(first[SSRC][number])) for number in (71, 72, 72, 198)] == [0, 1, 0, 1]
    assert call.plane.counters()["srtp"] == 6
    assert call.plane.stream_statistics(call.stream).packets == 7
    assert call.plane.stream_statistics(other).packets == 5


@each_plane
@each_profile
def test_numbers_go_round_and_both_ends_count_the_turns(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    sent = [*range(100, 458_000, 20_000), *range(458_740, 458_770), *range(470_000, 900_000, 32_000)]
    for number in sent:
        assert len(call.comes(call.seal(number, b"%d" % number))) == 1
    assert [packet.payload for packet in call.packets()] == [b"%d" % number for number in sent]
    assert call.plane.stream_statistics(call.stream).highest_sequence == sent[-1]
    assert sent[-1] >> 16 == 13


@each_plane
@each_profile
def test_what_was_overtaken_around_a_wrap_still_comes(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    for number in (0, 30_000, 60_000):
        call.comes(call.seal(number))
    data = {number: call.seal(number, b"%d" % number) for number in range(65_500, 65_570)}
    order = [65_500, 65_569, 65_535, 65_536, 65_501, 65_568]
    for number in order:
        assert len(call.comes(data[number])) == 1
    assert [packet.payload for packet in call.packets()[3:]] == [b"%d" % number for number in order]
    assert [call.comes(data[number]) for number in order] == [[]] * 6


@each_plane
@each_profile
def test_nothing_is_ever_sealed_twice_under_one_index(make: MakePlane, profile: Profile) -> None:
    call = SealedCall(make, profile)
    packets = [RtpPacket(111, number, 0, 99, False, b"x").serialize() for number in (5, 6, 5, 200, 60, 73)]
    for packet in packets:
        call.plane.send_rtp(call.source, packet, call.now)
    opened = [call.back.open_rtp(data) for data in call.datagrams()]
    assert opened == [packets[0], packets[1], packets[3], packets[5]]
    assert call.plane.counters()["unsendable"] == 2


@each_plane
def test_new_keys_begin_anew(make: MakePlane) -> None:
    call = SealedCall(make)
    old = call.seal(1)
    call.comes(old)
    call.packets()
    for profile in (Profile.AES_256_GCM, Profile.AES_128_CM_SHA1_80):
        keys = master_key(profile, 7), master_key(profile, 9)
        call.plane.set_keys(call.source, profile, *keys)
        call.sender = SrtpSession(profile, keys[0], inbound=False)
        assert call.comes(old) == []
        assert len(call.comes(call.seal(1))) == 1  # a number that came under the old keys
    assert call.plane.counters()["srtp"] == 2


@each_plane
def test_only_what_authenticates_counts_as_a_stream(make: MakePlane) -> None:
    call = SealedCall(make)
    for ssrc in range(1000, 1200):
        call.comes(call.seal(1, ssrc=ssrc)[:-1] + b"?")
    for ssrc in range(100, 100 + MAX_INCOMING_SSRCS):
        assert len(call.comes(call.seal(1, ssrc=ssrc))) == 1
    assert call.comes(call.seal(1, ssrc=300)) == []
    assert call.plane.counters()["too-many-streams"] == 1


@each_plane
@each_profile
def test_keys_are_nowhere_to_be_read(make: MakePlane, profile: Profile) -> None:
    key, salt = b"K-E-Y".ljust(profile.key_bytes, b"!"), b"SALTY".ljust(profile.salt_bytes, b"?")
    secret = MasterKey(key, salt)
    plane = make()
    peer = plane.open_peer()
    plane.set_keys(peer, profile, secret, secret)
    said = [repr(secret), str(secret), f"{secret}", repr([secret]), repr(plane), str(plane)]
    said += [repr(plane.counters()), *(str(getattr(plane, "_" + name, "")) for name in ("core", "peers"))]
    for wrong in (MasterKey(key + b"x", salt), MasterKey(key, salt[:-1]), MasterKey(b"", b"")):
        for pair in ((wrong, secret), (secret, wrong)):
            with pytest.raises(ValueError, match="key") as caught:
                plane.set_keys(peer, profile, *pair)
            said.append("".join(traceback.format_exception(caught.value)))
    with pytest.raises(ValueError, match="handle") as caught:
        plane.set_keys(peer + 1, profile, secret, secret)
    said.append("".join(traceback.format_exception(caught.value)))
    text = "".join(said)
    for part in ("K-E-Y", "SALTY", key.hex()[:8], salt.hex()[:8]):
        assert part not in text
    with pytest.raises(TypeError, match="written"):
        pickle.dumps(secret)
    plane.close()


@each_plane
def test_a_key_that_does_not_fit_leaves_the_old_ones(make: MakePlane) -> None:
    call = SealedCall(make)
    with pytest.raises(ValueError, match="key"):
        call.plane.set_keys(call.source, Profile.AES_256_GCM, MasterKey(b"", b""), MasterKey(b"", b""))
    assert len(call.comes(call.seal(1))) == 1
