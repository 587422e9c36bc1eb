"""One member's media path on the server: an offer comes in, a transport is kept, packets go both ways."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from rtc.sdp import Candidate, SdpError, SessionDescription
from rtc.signalling import ProtocolError, media
from rtc.transport import Certificate, PeerTransport, ServerLink
from rtc.udp_mux import UdpMux
from server_lite.negotiation import ConsumerPlan, Plan, negotiate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MediaPort:
    """What all peers of a server share: the UDP port, its addresses and the certificate."""

    mux: UdpMux
    candidates: list[Candidate]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An offer that could be agreed to, and the path that would carry it."""

    plan: Plan
    offer: SessionDescription
    transport: PeerTransport


class Peer:
    """Holds the transport of `member`. `on_packet(packet, now)` gets decrypted RTP and RTCP;
    `on_connected()` is called whenever a path came up."""

    def __init__(
        self,
        port: MediaPort,
        on_packet: Callable[[bytes, float], None],
        on_connected: Callable[[], None],
    ) -> None:
        self._port = port
        self._on_packet, self._on_connected = on_packet, on_connected
        self._transport: PeerTransport | None = None
        self._remote_ufrag = ""
        self._consumers: dict[str, ConsumerPlan] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        return self._transport is not None and self._transport.connected

    @property
    def dropped(self) -> int:
        """Packets that came but could not be decrypted: forged, replayed, too old."""
        return self._transport.dropped["srtp"] if self._transport is not None else 0

    def accept(self, offer: media.Offer) -> Acceptance:
        """Works out the answer to `offer`; nothing is changed until it is committed. Raises ProtocolError."""
        try:
            description = SessionDescription.parse(offer.sdp)
        except SdpError as error:
            raise ProtocolError("sdp-malformed", f"The offer cannot be read. {error}", offer.id) from None
        remote = description.transport
        if remote.setup not in ("actpass", "active"):
            raise ProtocolError("sdp-mismatch", "The offer must let the server wait (a=setup).", offer.id)
        if remote.ufrag == self._remote_ufrag and self._transport is not None:
            transport, known = self._transport, self._consumers
        else:
            transport, known = self._new_transport(), {}
        try:
            plan = negotiate(
                description,
                sending={s.mid for s in offer.send},
                receiving={r.mid for r in offer.receive},
                local=transport.local_parameters("passive"),
                known=known,
                new_ssrc=lambda: random.randrange(2, 2**32),
            )
        except ProtocolError as error:
            self._free(transport)
            raise ProtocolError(error.code, error.sentence, offer.id) from None
        return Acceptance(plan, description, transport)

    def commit(self, acceptance: Acceptance) -> None:
        """From now on this is how media flows; a new path begins to connect and the old one is closed."""
        self._consumers = {c.mid: c for c in acceptance.plan.consumers}
        if acceptance.transport is self._transport:
            return
        if self._transport is not None:
            self._spawn(self._transport.close())
        self._transport = acceptance.transport
        self._remote_ufrag = acceptance.offer.transport.ufrag
        self._spawn(self._connect(acceptance.transport, acceptance.offer))

    def abandon(self, acceptance: Acceptance) -> None:
        """The offer was refused for another reason."""
        self._free(acceptance.transport)

    def send(self, packet: bytes, is_rtcp: bool) -> None:
        if self._transport is not None:
            (self._transport.send_rtcp if is_rtcp else self._transport.send_rtp)(packet)

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if transport is not None:
            await transport.close()

    def _free(self, transport: PeerTransport) -> None:
        if transport is not self._transport:
            self._spawn(transport.close())

    def _new_transport(self) -> PeerTransport:
        link = ServerLink(self._port.mux.link(), self._port.candidates)
        return PeerTransport(link, self._port.certificate, on_rtp=self._on_packet, on_rtcp=self._on_packet)

    async def _connect(self, transport: PeerTransport, offer: SessionDescription) -> None:
        try:
            await transport.connect(offer.transport, dtls_role="server")
        except ConnectionError as error:
            log.info("a media path did not come up: %s", error)
            await transport.close()
            return
        if transport is self._transport:
            self._on_connected()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
