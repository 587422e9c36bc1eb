"""Bounds on sockets, before a byte is read: how many there are, and how long one may say nothing.

A socket that has not become a WebSocket, and has no request under way, is pending. When there are too many
pending ones the oldest goes, so that half-open sockets cannot keep honest people out; a pending one that has
said nothing useful for a while goes anyway.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server_lite.config import Settings
from server_lite.metrics import Tally

#: Sockets that may wait to say something, over all addresses. Each costs some 30 kB.
MAX_PENDING = 256
#: Seconds for a whole request head. Longer helps slow phones.
HEAD_TIMEOUT_S = 10.0


class Doorkeeper:
    """Counts sockets of one server. Makes the protocol classes that uvicorn is to use."""

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self._settings, self._tally = settings, tally
        self._pending: OrderedDict[asyncio.Transport, None] = OrderedDict()
        self._open: dict[asyncio.Transport, str] = {}  # transport -> address
        self._per_address: Counter[str] = Counter()

    def came(self, transport: asyncio.Transport) -> bool:
        """A socket was accepted; False if it must go at once."""
        peer = transport.get_extra_info("peername") or ("",)
        address = str(peer[0])
        settings = self._settings
        while len(self._pending) >= MAX_PENDING:
            oldest, _ = self._pending.popitem(last=False)
            self._refuse(oldest)
        if (
            len(self._open) >= settings.max_connections
            or self._per_address[address] >= settings.max_connections_per_address
        ):
            self._tally.connections_refused += 1
            transport.abort()
            return False
        self._open[transport] = address
        self._per_address[address] += 1
        self._pending[transport] = None
        return True

    def spoke(self, transport: asyncio.Transport) -> None:
        """It sent a whole request head."""
        self._pending.pop(transport, None)

    def waits(self, transport: asyncio.Transport) -> None:
        """It was answered and may ask again."""
        if transport in self._open:
            self._pending[transport] = None

    def overdue(self, transport: asyncio.Transport) -> None:
        if transport in self._pending:
            del self._pending[transport]
            self._refuse(transport)

    def went(self, transport: asyncio.Transport | None) -> None:
        if transport is None:
            return
        self._pending.pop(transport, None)
        address = self._open.pop(transport, None)
        if address is not None:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._tally.connections_refused += 1
        self.went(transport)
        transport.abort()

    def http_protocol(self) -> type[asyncio.Protocol]:
        keeper = self

        class GuardedHttp(H11Protocol):
            """uvicorn's HTTP/1.1 behind the doorkeeper."""

            _admitted: Any = None
            _head_timer: asyncio.TimerHandle | None = None
            _known_cycle: Any = None  # the request that was noticed last

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                if keeper.came(transport):
                    self._admitted = transport
                    self._start_timer()

            def connection_lost(self, exc: Exception | None) -> None:
                self._stop_timer()
                keeper.went(self._admitted)
                super().connection_lost(exc)

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self._notice_request()

            def on_response_complete(self) -> None:
                # From here on it is as if it had just come: the next head must not drip for ever either.
                if self._admitted is not None and not self.transport.is_closing():
                    keeper.waits(self._admitted)
                    self._start_timer()
                super().on_response_complete()
                self._notice_request()

            def _notice_request(self) -> None:
                if self.cycle is not self._known_cycle:
                    self._known_cycle = self.cycle
                    self._stop_timer()
                    keeper.spoke(self._admitted)

            def handle_websocket_upgrade(self, event: Any) -> None:
                self._stop_timer()
                keeper.spoke(self._admitted)
                super().handle_websocket_upgrade(event)

            def _start_timer(self) -> None:
                self._stop_timer()
                self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, keeper.overdue, self._admitted)

            def _stop_timer(self) -> None:
                if self._head_timer is not None:
                    self._head_timer.cancel()
                    self._head_timer = None

        return GuardedHttp

    def websocket_protocol(self) -> type[asyncio.Protocol]:
        keeper = self

        class GuardedWebSocket(WebSocketsSansIOProtocol):
            """uvicorn's WebSocket, which takes over the socket of the HTTP protocol."""

            def keepalive_timeout(self) -> None:
                # Closing would first wait for what the peer does not read, for minutes if the network is cut.
                super().keepalive_timeout()
                self.transport.abort()

            def connection_lost(self, exc: Exception | None) -> None:
                keeper.went(getattr(self, "transport", None))
                super().connection_lost(exc)

        return GuardedWebSocket
