"""The server's end of a path: ICE-lite over the one port and DTLS here, media in the forwarding plane.

What is used of aiortc's private names is listed here and pinned by tests/rtc/test_transport_contract.py:
`RTCDtlsTransport._recv`/`_send`/`role`/`state` of the ICE object, `_set_role`, `_setup_srtp`, `_set_state`,
`_ssl`, `_srtp_profiles` with `openssl_profile`, `key_length`, `salt_length`, `get_key_and_salt`, and `State`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)

from rtc import transport
from rtc.fanout import MasterKey, Profile, Record
from rtc.mux_link import MuxLink
from rtc.sdp import Candidate, TransportParameters
from rtc.transport import Certificate, DataChannels

_PROFILES = {
    SRTP_AES128_CM_SHA1_80.openssl_profile: Profile.AES_128_CM_SHA1_80,
    SRTP_AEAD_AES_128_GCM.openssl_profile: Profile.AES_128_GCM,
    SRTP_AEAD_AES_256_GCM.openssl_profile: Profile.AES_256_GCM,
}


class ServerDtls(RTCDtlsTransport):
    """Gives the keys to whoever opens and seals, instead of doing it. In spite of its name for either role.

    `on_keys(profile, client's key, server's key)` is called once, after the peer's certificate was checked.
    """

    on_keys: Callable[[Profile, MasterKey, MasterKey], None]

    def _setup_srtp(self) -> None:
        assert self._ssl is not None  # the handshake is done
        name = self._ssl.get_selected_srtp_profile()
        known = next((p for p in self._srtp_profiles if p.openssl_profile == name), None)
        if known is None:
            self._set_state(State.FAILED)
            return
        profile = _PROFILES[known.openssl_profile]
        size = 2 * (known.key_length + known.salt_length)
        exported = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        # RFC 5764 section 4.2: the client's key, the server's, then the salts.
        of_client, of_server = (
            MasterKey(both[: known.key_length], both[known.key_length :])
            for both in (known.get_key_and_salt(exported, 0), known.get_key_and_salt(exported, 1))
        )
        self.on_keys(profile, of_client, of_server)


class ServerTransport:
    """A member's path as the server has it: ICE-lite over the one port, DTLS here, media in the plane.

    `connect()` once. From then on `on_media(record, index, now)` decides about each packet of RTP (FORWARD or
    DROP), `on_rtcp(packet, now)` gets decrypted RTCP and `on_feedback(now)` hears that there is something in
    the feedback that the plane gathers; times are microseconds. `on_closed` is called once if the member ends
    it.
    """

    def __init__(
        self,
        link: MuxLink,
        candidates: list[Candidate],
        certificate: Certificate,
        *,
        on_media: Callable[[Record, int, int], int],
        on_rtcp: Callable[[bytes, int], None],
        on_feedback: Callable[[int], None] | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._link, self._candidates, self._certificate = link, candidates, certificate
        self._on_media, self._on_rtcp, self._on_feedback = on_media, on_rtcp, on_feedback
        self._on_closed = on_closed
        self._dtls: ServerDtls | None = None
        self._keyed = self._closed = self._silent = False

    @property
    def peer(self) -> int:
        """The plane's handle of this path."""
        return self._link.peer

    @property
    def connected(self) -> bool:
        return self._keyed and not self._closed

    @property
    def cipher(self) -> str:
        """The negotiated SRTP protection profile; empty before DTLS is done."""
        if self._dtls is None or self._dtls._ssl is None or not self.connected:
            return ""
        profile: bytes = self._dtls._ssl.get_selected_srtp_profile()
        return profile.decode()

    def local_parameters(self, setup: str) -> TransportParameters:
        """What to write into our SDP; `setup` is passive (RFC 8842)."""
        return TransportParameters(
            ufrag=self._link.ufrag,
            password=self._link.password,
            fingerprint=self._certificate.fingerprint,
            setup=setup,
            candidates=self._candidates,
            ice_lite=True,
        )

    async def connect(self, remote: TransportParameters) -> None:
        """Waits for a check, then DTLS, then keys for the plane. Raises ConnectionError with the step."""
        self._link.remote = remote.ufrag, remote.password
        await self._link.wait_ready(transport.CONNECT_TIMEOUT_S)
        as_ice: Any = self._link  # has what DTLS uses of it
        dtls = self._dtls = ServerDtls(as_ice, [self._certificate.value])
        dtls.on_keys = self._keys
        dtls._set_role("server")
        fingerprint = RTCDtlsFingerprint(*remote.fingerprint)
        try:
            await asyncio.wait_for(dtls.start(RTCDtlsParameters([fingerprint])), transport.CONNECT_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionError("the DTLS handshake did not finish") from None
        if dtls.state != "connected" or self._closed:
            raise ConnectionError("the DTLS handshake failed")
        dtls.on("statechange", self._state_changed)

    def _keys(self, profile: Profile, theirs: MasterKey, ours: MasterKey) -> None:
        if self._closed or self._silent:
            return
        self._link.mux.fanout.set_keys(self._link.peer, profile, theirs, ours)
        self._link.media_sink, self._link.rtcp_sink = self._on_media, self._on_rtcp
        self._link.feedback_sink = self._on_feedback
        self._keyed = True

    def silence(self) -> None:
        """From now on nothing of it is handed over."""
        self._silent = True
        self._link.media_sink = self._link.rtcp_sink = self._link.feedback_sink = None

    def data_channels(self, on_channel: Callable[[RTCDataChannel], None] | None = None) -> DataChannels:
        """SCTP over this path; call once on each end, after `connect`."""
        if self._dtls is None:
            raise ConnectionError("data channels need a connected path")
        return DataChannels(self._dtls, on_channel)

    async def close(self) -> None:
        """Says goodbye in DTLS and frees the path; a `connect` under way ends with ConnectionError."""
        self._closed = True
        self._on_closed = None
        if self._dtls is not None:
            self._dtls.remove_all_listeners()
            await self._dtls.stop()
            self._link.mux.flush()  # the goodbye leaves before the path is forgotten
        self._link.close()

    def _state_changed(self) -> None:
        if self._dtls is not None and self._dtls.state in ("closed", "failed"):
            self._keyed = False
            callback, self._on_closed = self._on_closed, None
            if callback is not None:
                callback()
