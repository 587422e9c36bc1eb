"""One peer's ICE + DTLS + SRTP path. With rtc/server_transport.py, which has the server's end, the one place
that knows aiortc's and aioice's inside.

What is used of their private names is listed here and pinned by tests/rtc/test_transport_contract.py:

- `RTCDtlsTransport`: `_recv`/`_send`/`role`/`state` of the ICE object, `_set_role`, `_rx_srtp`, `_tx_srtp`,
  `_setup_srtp`, `_handle_rtp_data(data, arrival_time_ms)`, `_handle_rtcp_data(data)`, `_ssl`
- `RTCIceGatherer._connection` (an aioice `Connection`): `get_component_candidates`, `_local_candidates`,
  `_local_candidates_start`, `_local_candidates_end`, `_protocols`, `_nominated`, `ice_controlling`,
  `remote_is_lite`
- aioice `StunProtocol.transport`, and that asyncio and uvloop look up `datagram_received` for each datagram
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import pylibsrtp
from aiortc import RTCCertificate, RTCIceGatherer, RTCIceTransport
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from rtc.local_addresses import is_address, local_addresses_towards
from rtc.sdp import Candidate, TransportParameters
from rtc.tasks import end_tasks

log = logging.getLogger(__name__)

#: Seconds for the first connectivity check, and for the DTLS handshake. More waits for very slow networks,
#: less frees the place of a peer that never comes sooner.
CONNECT_TIMEOUT_S = 15.0
#: Seconds for a `connect` under way to end when the path is closed, and for sockets to send what they still
#: have. Less tears them before the goodbye is out where the network takes nothing.
CLOSE_TIMEOUT_S = 1.0

#: Takes decrypted RTP or RTCP and the monotonic time of its arrival in seconds.
PacketSink = Callable[[bytes, float], None]


class Link(Protocol):
    """What carries datagrams: a share of a UDP port, or an ICE agent of one's own."""

    ufrag: str
    password: str

    async def establish(self, remote: TransportParameters) -> Any:
        """Finds a way to the peer; returns the object that DTLS runs on. Raises ConnectionError."""

    def send(self, data: bytes) -> None: ...

    def take_media(self, sink: Callable[[bytes], None]) -> None:
        """From now on SRTP and SRTCP from the peer go to `sink`."""

    def candidates(self) -> list[Candidate]: ...

    async def close(self) -> None: ...


class Certificate:
    """Key and self-signed certificate of one end, made once per process."""

    def __init__(self) -> None:
        self.value: RTCCertificate = RTCCertificate.generateCertificate()

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Algorithm and value for SDP."""
        found = next(f for f in self.value.getFingerprints() if f.algorithm == "sha-256")
        return found.algorithm, found.value


class _Dtls(RTCDtlsTransport):
    """Hands decrypted packets over as bytes instead of parsing them for receivers of its own."""

    on_rtp: PacketSink
    on_rtcp: PacketSink

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self.on_rtp(data, time.monotonic())

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self.on_rtcp(data, time.monotonic())


class ClientLink:
    """The client's end: a full ICE agent that controls, from the local addresses that lead to the server."""

    def __init__(self) -> None:
        self._gatherer = RTCIceGatherer(iceServers=[])
        # Two ends that both begin as controlled hung now and then; the one who offers controls.
        self._gatherer._connection.ice_controlling = True
        self._ice = RTCIceTransport(self._gatherer)
        own = self._gatherer.getLocalParameters()
        self.ufrag, self.password = str(own.usernameFragment), str(own.password)
        self._binding: asyncio.Task[None] | None = None
        self._closed = False
        self._protocol: Any = None  # of the nominated pair
        self._sendto: Callable[[bytes, Any], None] | None = None
        self._remote: Any = None

    def candidates(self) -> list[Candidate]:
        """None: the server is ICE-lite and learns our address from the first check."""
        return []

    async def establish(self, remote: TransportParameters) -> RTCIceTransport:
        usable = [c for c in remote.candidates if c.protocol == "udp" and is_address(c.host)]
        # uvloop forgets a socket when it is cancelled while it opens it, and nobody can close that one then:
        # so this goes on whatever happens to us, and `close` waits for it.
        self._binding = asyncio.create_task(self._bind([c.host for c in usable]))
        await asyncio.shield(self._binding)
        connection = self._gatherer._connection
        if not connection._protocols:
            # Without a socket closing the agent never waits, and its monitor would run in circles for ever.
            raise ConnectionError("no address for connectivity checks")
        for candidate in usable:
            await self._ice.addRemoteCandidate(_to_aiortc(candidate))
        await self._ice.addRemoteCandidate(None)
        parameters = RTCIceParameters(remote.ufrag, remote.password, remote.ice_lite)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._ice.start(parameters)
        except TimeoutError:
            raise ConnectionError("no answer to connectivity checks") from None
        if self._ice.state != "completed":
            raise ConnectionError("no answer to connectivity checks")
        pair = connection._nominated[1]
        self._protocol = pair.protocol
        self._sendto, self._remote = pair.protocol.transport.sendto, pair.remote_addr
        return self._ice

    async def _bind(self, hosts: list[str]) -> None:
        connection = self._gatherer._connection
        connection._local_candidates_start = True
        connection._local_candidates += await connection.get_component_candidates(
            component=1, addresses=local_addresses_towards(hosts)
        )
        connection._local_candidates_end = True
        if self._closed:
            self._abort()

    def take_media(self, sink: Callable[[bytes], None]) -> None:
        """Sends SRTP and SRTCP straight from the socket to `sink`: aioice would queue each packet for a task
        to fetch, which costs as much as decrypting it."""
        otherwise = self._protocol.datagram_received

        def received(data: bytes, address: Any) -> None:
            if data and 128 <= data[0] < 192:
                sink(data)
            else:
                otherwise(data, address)

        self._protocol.datagram_received = received

    def send(self, data: bytes) -> None:
        if self._sendto is not None:
            self._sendto(data, self._remote)

    async def close(self) -> None:
        """Lets the sockets go, with what they have not sent after CLOSE_TIMEOUT_S. Not during `establish`."""
        self._closed = True
        self._sendto = None
        stopping = asyncio.create_task(self._stop())
        try:
            await asyncio.wait({stopping}, timeout=CLOSE_TIMEOUT_S)
        finally:
            self._abort()  # those that closed do not mind
        if not stopping.done():
            log.warning("the sockets of a path did not close in order")
            await asyncio.wait({stopping}, timeout=CLOSE_TIMEOUT_S)
        if not await end_tasks([stopping], CLOSE_TIMEOUT_S) and not stopping.cancelled():
            stopping.result()

    async def _stop(self) -> None:
        if self._binding is not None:
            await asyncio.wait({self._binding})
        await self._ice.stop()

    def _abort(self) -> None:
        for protocol in self._gatherer._connection._protocols:
            protocol.transport.abort()


class PeerTransport:
    """Encrypted packets to and from one peer.

    `connect()` once; then `send_rtp`/`send_rtcp` at will (dropped and counted while not connected) and
    `on_rtp`/`on_rtcp` are called with decrypted packets. `on_closed` is called once if the peer ends it.
    """

    def __init__(
        self,
        link: ClientLink,
        certificate: Certificate,
        *,
        on_rtp: PacketSink,
        on_rtcp: PacketSink,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._link = link
        self._certificate = certificate
        self._on_rtp, self._on_rtcp = on_rtp, on_rtcp
        self._on_closed = on_closed
        self._connecting: asyncio.Task[None] | None = None
        self._dtls: _Dtls | None = None
        self._tx: pylibsrtp.Session | None = None
        self._rx: pylibsrtp.Session | None = None
        self._closed = False
        self.dropped: Counter[str] = Counter()

    @property
    def connected(self) -> bool:
        return self._tx is not None

    def local_parameters(self, setup: str) -> TransportParameters:
        """What to write into our SDP; `setup` is actpass, active or passive (RFC 8842)."""
        return TransportParameters(
            ufrag=self._link.ufrag,
            password=self._link.password,
            fingerprint=self._certificate.fingerprint,
            setup=setup,
            candidates=self._link.candidates(),
            ice_lite=False,
        )

    async def connect(self, remote: TransportParameters, *, dtls_role: str) -> None:
        """ICE, then DTLS as `client` or `server`, then SRTP keys. Raises ConnectionError with the step."""
        if self._closed:
            raise ConnectionError("the path was closed")
        # A task of its own, so that `close` can end it without ending who called us.
        task = self._connecting = asyncio.create_task(self._come_up(remote, dtls_role))
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()  # we were: nobody waits for it any more
        if task.cancelled():
            raise ConnectionError("the path was closed")
        task.result()

    async def _come_up(self, remote: TransportParameters, dtls_role: str) -> None:
        ice: Any = await self._link.establish(remote)
        dtls = _Dtls(ice, [self._certificate.value])
        dtls.on_rtp, dtls.on_rtcp = self._on_rtp, self._on_rtcp
        dtls._set_role(dtls_role)
        self._dtls = dtls
        fingerprint = RTCDtlsFingerprint(*remote.fingerprint)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await dtls.start(RTCDtlsParameters([fingerprint]))
        except TimeoutError:
            raise ConnectionError("the DTLS handshake did not finish") from None
        if dtls.state != "connected" or self._closed:
            raise ConnectionError("the DTLS handshake failed")
        self._tx, self._rx = dtls._tx_srtp, dtls._rx_srtp
        dtls.on("statechange", self._state_changed)
        self._link.take_media(self._srtp_received)

    def send_rtp(self, data: bytes) -> None:
        if self._tx is None:
            self.dropped["not-connected"] += 1
            return
        try:
            self._link.send(self._tx.protect(data))
        except pylibsrtp.Error:  # too large, or numbered too far behind what was sent already
            self.dropped["unsendable"] += 1

    def send_rtcp(self, data: bytes) -> None:
        if self._tx is None:
            self.dropped["not-connected"] += 1
            return
        try:
            self._link.send(self._tx.protect_rtcp(data))
        except pylibsrtp.Error:
            self.dropped["unsendable"] += 1

    @property
    def cipher(self) -> str:
        """The negotiated SRTP protection profile; empty before DTLS is done."""
        if self._dtls is None or self._dtls._ssl is None or not self.connected:
            return ""
        profile: bytes = self._dtls._ssl.get_selected_srtp_profile()
        return profile.decode()

    def data_channels(self, on_channel: Callable[[RTCDataChannel], None] | None = None) -> DataChannels:
        """SCTP over this path; call once on each end, after `connect`."""
        if self._dtls is None:
            raise ConnectionError("data channels need a connected path")
        return DataChannels(self._dtls, on_channel)

    async def close(self) -> None:
        """Says goodbye in DTLS and frees the path, within a few seconds whatever happens; a `connect` under
        way ends with ConnectionError."""
        self._closed = True
        self._tx = self._rx = None
        self._on_closed = None
        try:
            # First: what connects while the agent is closed would leave tasks behind.
            if self._connecting is not None and await end_tasks([self._connecting], CLOSE_TIMEOUT_S):
                log.warning("a path that was coming up did not end")
            if self._dtls is not None:
                self._dtls.remove_all_listeners()
                await self._dtls.stop()
        finally:
            await self._link.close()

    def _srtp_received(self, data: bytes) -> None:
        if self._rx is None:
            return
        try:
            if len(data) > 1 and 192 <= data[1] <= 223:  # RFC 5761 section 4
                self._on_rtcp(self._rx.unprotect_rtcp(data), time.monotonic())
            else:
                self._on_rtp(self._rx.unprotect(data), time.monotonic())
        except pylibsrtp.Error:  # forged, replayed or too old
            self.dropped["srtp"] += 1

    def _state_changed(self) -> None:
        if self._dtls is not None and self._dtls.state in ("closed", "failed"):
            self._tx = self._rx = None
            callback, self._on_closed = self._on_closed, None
            if callback is not None:
                callback()


class DataChannels:
    """Reliable or partly reliable messages over a connected path (RFC 8831)."""

    MAX_MESSAGE_BYTES = 65536

    def __init__(self, dtls: RTCDtlsTransport, on_channel: Callable[[RTCDataChannel], None] | None) -> None:
        self._sctp = RTCSctpTransport(dtls)
        if on_channel is not None:
            self._sctp.on("datachannel", on_channel)

    async def start(self, remote_port: int = 5000) -> None:
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=self.MAX_MESSAGE_BYTES), remote_port)

    def open(self, label: str) -> RTCDataChannel:
        return RTCDataChannel(self._sctp, RTCDataChannelParameters(label=label))

    async def close(self) -> None:
        await self._sctp.stop()


def _to_aiortc(candidate: Candidate) -> RTCIceCandidate:
    return RTCIceCandidate(
        component=candidate.component,
        foundation=candidate.foundation,
        ip=candidate.host,
        port=candidate.port,
        priority=candidate.priority,
        protocol=candidate.protocol,
        type=candidate.type,
    )
