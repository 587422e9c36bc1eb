"""One member's media path on the server: an offer comes in, a transport is kept, packets go both ways."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from rtc.fanout import Record
from rtc.sdp import Candidate, SdpError, SessionDescription
from rtc.server_transport import ServerTransport
from rtc.signalling import ProtocolError, media
from rtc.transport import Certificate
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
    transport: ServerTransport
    fresh: bool  # a new path, on which every stream begins anew


class Peer:
    """Holds one member's transport. `on_media(record, index, now)` decides about each packet of RTP,
    `on_rtcp(packet, now)` gets decrypted RTCP, `on_feedback(now)` hears of feedback; `on_connected()` is
    called whenever a path came up, `on_disconnected()` when the member's end closed the one there was."""

    def __init__(
        self,
        port: MediaPort,
        on_media: Callable[[Record, int, int], int],
        on_rtcp: Callable[[bytes, int], None],
        on_feedback: Callable[[int], None],
        on_connected: Callable[[], None],
        on_disconnected: Callable[[], None],
    ) -> None:
        self._port = port
        self._on_media, self._on_rtcp, self._on_feedback = on_media, on_rtcp, on_feedback
        self._on_connected, self._on_disconnected = on_connected, on_disconnected
        self._transport: ServerTransport | None = None
        self._remote_ufrag = ""
        self.plan: Plan | None = None  # as committed
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        return self._transport is not None and self._transport.connected

    def accept(self, offer: media.Offer) -> Acceptance:
        """Works out the answer to `offer`; nothing is changed until it is committed. Raises ProtocolError."""
        try:
            description = SessionDescription.parse(offer.sdp)
        except SdpError as error:
            raise ProtocolError("sdp-malformed", f"The offer cannot be read. {error}", offer.id) from None
        named = [s.mid for s in offer.send] + [r.mid for r in offer.receive]
        if len(set(named)) != len(named):
            raise ProtocolError("sdp-mismatch", "A section can carry one stream only.", offer.id)
        remote = description.transport
        if remote.setup not in ("actpass", "active"):
            raise ProtocolError("sdp-mismatch", "The offer must let the server wait (a=setup).", offer.id)
        known: dict[str, ConsumerPlan] = {}
        if remote.ufrag == self._remote_ufrag and self._transport is not None:
            transport, fresh = self._transport, False
            if self.plan is not None:
                known = {c.mid: c for c in self.plan.consumers}
        else:
            transport, fresh = self._new_transport(), True
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
            if fresh:
                self._retire(transport)
            raise ProtocolError(error.code, error.sentence, offer.id) from None
        return Acceptance(plan, description, transport, fresh)

    def commit(self, acceptance: Acceptance) -> None:
        """From now on this is how media flows; a new path begins to connect and the old one is closed."""
        self.plan = acceptance.plan
        if not acceptance.fresh:
            return
        if self._transport is not None:
            self._retire(self._transport)
        self._transport = acceptance.transport
        self._remote_ufrag = acceptance.offer.transport.ufrag
        self._spawn(self._connect(acceptance.transport, acceptance.offer))

    def abandon(self, acceptance: Acceptance) -> None:
        """The offer was refused for another reason."""
        if acceptance.fresh:
            self._retire(acceptance.transport)

    async def close(self) -> None:
        """Frees every path. Connecting ends by itself when its path is closed, so nothing is cancelled:
        a cancelled goodbye would keep its place in the port for ever."""
        if self._transport is not None:
            self._retire(self._transport)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _retire(self, transport: ServerTransport) -> None:
        """This path carries nothing any more."""
        if transport is self._transport:
            self._transport, self._remote_ufrag = None, ""
        transport.silence()
        self._spawn(transport.close())

    def _new_transport(self) -> ServerTransport:
        def ended_by_peer() -> None:
            if transport is self._transport:
                self._on_disconnected()
                self._retire(transport)

        transport = ServerTransport(
            self._port.mux.link(),
            self._port.candidates,
            self._port.certificate,
            on_media=self._on_media,
            on_rtcp=self._on_rtcp,
            on_feedback=self._on_feedback,
            on_closed=ended_by_peer,
        )
        return transport

    async def _connect(self, transport: ServerTransport, offer: SessionDescription) -> None:
        try:
            await transport.connect(offer.transport)
        except OSError as error:  # ConnectionError above all
            log.info("a media path did not come up: %s", error)
            if transport is self._transport:
                self._on_disconnected()
                self._retire(transport)  # the same user fragment again begins a new path
            return
        if transport is self._transport:
            self._on_connected()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
