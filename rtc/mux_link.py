"""One peer's share of the port: where it is, and who takes what it sends."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rtc.fanout import Record

if TYPE_CHECKING:
    from rtc.udp_mux import UdpMux

#: DTLS datagrams of one peer waiting for its handshake; more could only be garbage.
MAX_WAITING_DATAGRAMS: Final = 64
#: Checks of one peer a second, and at once, from addresses that it has proven, and as many from all others.
#: More is a flood; each costs some 30 microseconds.
CHECKS_PER_S: Final = 50.0
CHECK_BURST: Final = 100.0


class _Allowance:
    """How many checks may still be looked at: a bucket that fills with time."""

    def __init__(self) -> None:
        self._level, self._at = CHECK_BURST, 0.0

    def take(self, now: float) -> bool:
        """`now` in seconds; False where there is none left."""
        self._level = min(CHECK_BURST, self._level + (now - self._at) * CHECKS_PER_S)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class MuxLink:
    """Looks like an ICE transport to DTLS: `_recv`, `_send`, role, state. `peer` is the plane's handle."""

    role = "controlled"

    def __init__(self, mux: UdpMux, peer: int, ufrag: str, password: str) -> None:
        self._mux = mux
        self.peer = peer
        self.ufrag, self.password = ufrag, password
        #: User fragment and password of the peer. While they are not known its addresses cannot be proven,
        #: and a check alone is believed.
        self.remote: tuple[str, str] | None = None
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING_DATAGRAMS + 1)
        self._ready = asyncio.Event()
        self._closed = False
        self._known, self._unknown = _Allowance(), _Allowance()
        self.address: bytes | None = None
        self.addresses: OrderedDict[bytes, None] = OrderedDict()
        self.last_check = 0.0  # seconds, of the last valid binding request
        #: Decides about each packet of RTP: (record, its place in the batch, microseconds) -> FORWARD or
        #: DROP.
        self.media_sink: Callable[[Record, int, int], int] | None = None
        #: Takes decrypted RTCP.
        self.rtcp_sink: Callable[[bytes, int], None] | None = None
        #: Hears at what time there is something in the feedback that the plane gathers.
        self.feedback_sink: Callable[[int], None] | None = None

    @property
    def mux(self) -> UdpMux:
        return self._mux

    @property
    def state(self) -> str:
        if self._closed:
            return "closed"
        return "completed" if self._ready.is_set() else "checking"

    async def wait_ready(self, timeout: float) -> None:
        """Returns when the peer has proven an address; raises ConnectionError after `timeout` seconds."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout)
        except TimeoutError:
            raise ConnectionError("no connectivity check came from the peer") from None
        if self._closed:
            raise ConnectionError("the link is closed")

    async def _send(self, data: bytes) -> None:
        if self._closed:
            raise ConnectionError("the link is closed")
        self._mux.fanout.send_raw(self.peer, data)
        self._mux.wake()

    async def _recv(self) -> bytes:
        data = None if self._closed else await self._waiting.get()
        if data is None:
            raise ConnectionError("the link is closed")
        return data

    def handshake(self, data: bytes) -> bool:
        """DTLS from a proven address; False where too much waits already."""
        if self._waiting.qsize() >= MAX_WAITING_DATAGRAMS:
            return False
        self._waiting.put_nowait(data)
        return True

    def may_check(self, address: bytes, now: float) -> bool:
        """Whether one more check from `address` is looked at; `now` in seconds.

        Whoever has heard the user fragment and floods us from elsewhere does not keep out the peer itself.
        """
        return (self._known if address in self.addresses else self._unknown).take(now)

    def checked(self, address: bytes, nominated: bool, now: float) -> None:
        """A valid binding request came from `address`."""
        self.last_check = now
        self.addresses[address] = None
        self.addresses.move_to_end(address)
        if (nominated and self.address != address) or self.address is None:
            self.address = address
            self._mux.fanout.set_address(self.peer, address)
        self._ready.set()

    def unheard(self) -> None:
        """No check came for so long that nothing may be sent there any more; the next one changes that."""
        self.address = None
        self._mux.fanout.set_address(self.peer, b"")

    def lost(self, address: bytes) -> None:
        """Another peer has proven that it is at `address` now."""
        self.addresses.pop(address, None)
        if self.address == address:
            self.unheard()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.media_sink = self.rtcp_sink = self.feedback_sink = None
        self._mux.forget(self)
        self._ready.set()
        self._waiting.put_nowait(None)
