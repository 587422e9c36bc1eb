"""Sessions seal and open, and pylibsrtp still has inside what rtc/srtp_session.py uses."""

from __future__ import annotations

import pylibsrtp
import pytest
from pylibsrtp import _binding

from rtc.fanout import MAX_DATAGRAM, MasterKey, Profile
from rtc.srtp_session import SEALING_ROOM, Memory, SrtpSession


def key(profile: Profile, fill: int = 1) -> MasterKey:
    return MasterKey(bytes((fill,)) * profile.key_bytes, bytes((fill,)) * profile.salt_bytes)


def pair(profile: Profile) -> tuple[SrtpSession, SrtpSession]:
    return SrtpSession(profile, key(profile), inbound=False), SrtpSession(profile, key(profile), inbound=True)


def packet(sequence: int, size: int = 20) -> bytes:
    return b"\x80\x60" + sequence.to_bytes(2, "big") + bytes(4) + b"\0\0\0\7" + bytes(size)


@pytest.mark.parametrize(
    "name", ["srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"]
)
def test_the_binding_has_the_calls(name: str) -> None:
    session = pylibsrtp.Session(pylibsrtp.Policy(key=bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND))
    data, size = _binding.ffi.new("char[]", 2000), _binding.ffi.new("int *")
    size[0] = 0  # shorter than any packet: refused, so the call is there and takes these arguments
    assert getattr(_binding.lib, name)(session._srtp[0], data, size) != _binding.lib.srtp_err_status_ok


@pytest.mark.parametrize("profile", list(Profile))
def test_what_one_seals_the_other_opens(profile: Profile) -> None:
    sender, receiver = pair(profile)
    tag = 10 if profile is Profile.AES_128_CM_SHA1_80 else 16
    for sequence in (65534, 65535, 0, 1):
        sealed = sender.seal_rtp(packet(sequence))
        assert sealed is not None
        assert len(sealed) == len(packet(sequence)) + tag
        assert sealed[12:] != packet(sequence)[12:]
        assert receiver.open_rtp(sealed) == packet(sequence)
        assert receiver.open_rtp(sealed) is None  # a replay
    report = b"\x80\xc8\0\6" + bytes(24)
    sealed = sender.seal_rtcp(report)
    assert sealed is not None
    assert len(sealed) == len(report) + tag + 4
    assert receiver.open_rtcp(sealed) == report
    assert receiver.open_rtcp(sealed) is None


@pytest.mark.parametrize("profile", list(Profile))
def test_sealing_in_place_gives_the_same_and_touches_nothing_before_it(profile: Profile) -> None:
    one, other = (SrtpSession(profile, key(profile), inbound=False) for _ in range(2))
    memory = Memory(2 * MAX_DATAGRAM)
    for sequence, size in enumerate((0, 1, 1000, MAX_DATAGRAM - 12 - 16)):
        plain, at = packet(sequence, size), 7 + sequence
        memory.view[:] = b"#" * len(memory.view)
        memory.view[at : at + len(plain)] = plain
        sealed = one.seal_rtp(plain)
        assert sealed is not None
        assert other.seal_at(memory, at, len(plain)) == len(sealed)
        assert memory.view[: at + len(sealed)] == b"#" * at + sealed
        assert set(memory.view[at + len(sealed) + SEALING_ROOM :]) == {ord("#")}


def test_what_cannot_be_sealed_in_place() -> None:
    session, memory = SrtpSession(Profile.AES_256_GCM, key(Profile.AES_256_GCM), inbound=False), Memory(6000)
    long = packet(1, MAX_DATAGRAM - 12 - 15)
    memory.view[: len(long)] = long
    assert session.seal_at(memory, 0, len(long)) == 0
    assert session.seal_at(memory, 0, 5000) == 0
    assert session.seal_at(memory, 0, 11) == 0  # less than a header
    memory.view[: len(long)] = packet(2, len(long) - 12)
    assert session.seal_at(memory, 0, 40) == 56
    memory.view[:40] = packet(2, 28)
    assert session.seal_at(memory, 0, 40) == 0  # a number is sealed once


@pytest.mark.parametrize("profile", list(Profile))
def test_a_changed_byte_is_refused(profile: Profile) -> None:
    sender, receiver = pair(profile)
    sealed = sender.seal_rtp(packet(1))
    assert sealed is not None
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 4
        assert receiver.open_rtp(bytes(changed)) is None
    assert receiver.open_rtp(sealed) == packet(1)


def test_a_number_is_sealed_once() -> None:
    sender, _ = pair(Profile.AES_128_GCM)
    assert sender.seal_rtp(packet(5)) is not None
    assert sender.seal_rtp(packet(5)) is None
    assert sender.seal_rtp(packet(5 + 200)) is not None
    assert sender.seal_rtp(packet(5 + 200 - 128)) is None


def test_as_long_as_a_datagram_may_be_and_no_longer() -> None:
    sender, receiver = pair(Profile.AES_256_GCM)
    sealed = sender.seal_rtp(packet(1, MAX_DATAGRAM - 12 - 16))
    assert sealed is not None
    assert len(sealed) == MAX_DATAGRAM
    assert receiver.open_rtp(sealed) is not None
    assert sender.seal_rtp(packet(2, MAX_DATAGRAM - 12 - 15)) is None
    assert sender.seal_rtp(packet(3, 5000)) is None


def test_keys_have_their_length_and_no_printable_form() -> None:
    with pytest.raises(ValueError, match="as long"):
        SrtpSession(Profile.AES_256_GCM, key(Profile.AES_128_GCM), inbound=True)
    assert "1" not in repr(key(Profile.AES_128_GCM))
