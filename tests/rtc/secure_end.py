"""The other end of an encrypted path, made of libsrtp alone."""

from __future__ import annotations

import os

import pylibsrtp
from pylibsrtp import Policy, Session

from rtc.fanout import Fanout, MasterKey, Profile
from rtc.rtp import is_rtcp

_PROFILES = {
    Profile.AES_128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Profile.AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Profile.AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


def random_key(profile: Profile) -> MasterKey:
    return MasterKey(os.urandom(profile.key_bytes), os.urandom(profile.salt_bytes))


def session(key: MasterKey, profile: Profile, kind: int) -> Session:
    return Session(Policy(key=key.key + key.salt, ssrc_type=kind, srtp_profile=_PROFILES[profile]))


class SecureEnd:
    """Gives `peer` of a plane fresh keys and keeps the other end's."""

    def __init__(self, plane: Fanout, peer: int, profile: Profile = Profile.AES_256_GCM) -> None:
        to_plane, from_plane = random_key(profile), random_key(profile)
        plane.set_keys(peer, profile, to_plane, from_plane)
        self._sealing = session(to_plane, profile, Policy.SSRC_ANY_OUTBOUND)
        self._opening = session(from_plane, profile, Policy.SSRC_ANY_INBOUND)

    def seal(self, packet: bytes) -> bytes:
        """A whole packet sealed; what libsrtp refuses to seal goes as it is."""
        try:
            if is_rtcp(packet):
                return self._sealing.protect_rtcp(packet)
            return self._sealing.protect(packet)
        except pylibsrtp.Error:
            return packet

    def open(self, packet: bytes) -> bytes:
        """Raises pylibsrtp.Error where it is forged or a replay."""
        if is_rtcp(packet):
            return self._opening.unprotect_rtcp(packet)
        return self._opening.unprotect(packet)
