"""The controlling side of ICE as far as a server with one address needs it (RFC 8445): a check for each
candidate until one is answered, then one every few seconds. Looks like an ICE transport to DTLS."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import Callable
from typing import Any, Final

from aioice import stun
from aioice.utils import random_string
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters

from bench.loadbot.plane import Way
from rtc import checks
from rtc.fanout import Fanout, MasterKey, Profile
from rtc.sdp import TransportParameters
from rtc.server_transport import ServerDtls
from rtc.socket_address import pack_address, unpack_address
from rtc.transport import CONNECT_TIMEOUT_S, Certificate

#: Seconds between checks that nothing answered yet, and of a path that works (RFC 7675 has 4 to 6; a server
#: that takes a path for dead after a few seconds needs them more often).
FIRST_CHECKS: Final = 0.1
NEXT_CHECKS: Final = 2.0
_PRIORITY: Final = 1853824767  # of a peer-reflexive candidate (RFC 8445 section 5.1.2.1)
_REMEMBERED: Final = 64


class IceClient:
    """`begin`, then `wait_ready`. `take(data, address)` gets every datagram that is not media."""

    role = "controlling"

    def __init__(self, fanout: Fanout, peer: int) -> None:
        self.ufrag, self.password = random_string(4), random_string(22)
        self._fanout, self._peer = fanout, peer
        self._tie_breaker = secrets.randbits(63)
        self._remote = TransportParameters()
        self._addresses: list[bytes] = []
        self._asked: dict[bytes, float] = {}
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(65)
        self._ready = asyncio.Event()
        self._closed = False
        self.way: Way | None = None
        self.answered = 0.0  # seconds, when the last check was answered

    @property
    def state(self) -> str:
        return "closed" if self._closed else "completed" if self._ready.is_set() else "checking"

    def begin(self, remote: TransportParameters, way: Way) -> None:
        """Raises ConnectionError where the server names no address for this socket."""
        self._remote, self.way = remote, way
        wanted = way.socket.family
        for candidate in sorted(remote.candidates, key=lambda c: -c.priority):
            if candidate.protocol == "udp" and not candidate.host.startswith("fe80"):
                try:
                    packed = pack_address(candidate.host, candidate.port)
                except OSError:  # a name
                    continue
                if (len(packed) == 28) == (wanted.name == "AF_INET6"):
                    self._addresses.append(packed)
        if not self._addresses:
            raise ConnectionError("the server named no address of this family")

    async def wait_ready(self) -> None:
        """Raises ConnectionError when no check is answered."""
        end = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._ready.is_set():
            if time.monotonic() > end or self._closed:
                raise ConnectionError("no answer to connectivity checks")
            self.check()
            try:
                await asyncio.wait_for(self._ready.wait(), FIRST_CHECKS)
            except TimeoutError:
                continue

    def move(self, way: Way) -> None:
        """Goes on over another socket; the path stands again when a check over it is answered."""
        self.way = way
        self._asked.clear()
        self._ready.clear()

    def check(self) -> None:
        """Asks where the path is not known, else whether it still is."""
        if self.way is None or self._closed:
            return
        known = self.way.remote
        for address in [known] if known else self._addresses:
            request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
            request.attributes["USERNAME"] = f"{self._remote.ufrag}:{self.ufrag}"
            request.attributes["PRIORITY"] = _PRIORITY
            request.attributes["ICE-CONTROLLING"] = self._tie_breaker
            request.attributes["USE-CANDIDATE"] = None
            request.add_message_integrity(self._remote.password.encode())
            while len(self._asked) >= _REMEMBERED:
                del self._asked[next(iter(self._asked))]
            self._asked[request.transaction_id] = time.monotonic()
            self._fanout.send_to(address, bytes(request))
        self.way.flush()

    def take(self, data: bytes, address: bytes) -> None:
        """STUN or DTLS."""
        if data[0] >= 4:
            if self._waiting.qsize() < 64:
                self._waiting.put_nowait(data)
            return
        try:
            message = stun.parse_message(data)
        except (ValueError, LookupError, TypeError, struct.error):
            return
        if message.message_class == stun.Class.REQUEST:
            self._answer(data, address)
        elif message.transaction_id in self._asked and message.message_class == stun.Class.RESPONSE:
            del self._asked[message.transaction_id]
            if message.check_message_integrity(self._remote.password.encode()) and self.way is not None:
                self.answered = time.monotonic()
                if not self.way.remote:
                    self.way.use(address)
                self._ready.set()

    def _answer(self, data: bytes, address: bytes) -> None:
        """Servers check too, to see whether we are still there."""
        try:
            request = checks.authentic(data, self.password)
        except checks.CheckError:
            return
        if self.way is not None and len(address) in (16, 28):
            self._fanout.send_to(address, checks.success(request, unpack_address(address), self.password))
            self.way.flush()

    async def _send(self, data: bytes) -> None:
        if self._closed or self.way is None:
            raise ConnectionError("the path is closed")
        self._fanout.send_raw(self._peer, data)
        self.way.flush()

    async def _recv(self) -> bytes:
        data = None if self._closed else await self._waiting.get()
        if data is None:
            raise ConnectionError("the path is closed")
        return data

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._ready.set()
            self._waiting.put_nowait(None)


class Handshake:
    """DTLS over an IceClient, by aiortc; the keys go to the plane. Counts how often it was done."""

    def __init__(self, ice: IceClient, certificate: Certificate, closed: Callable[[], None]) -> None:
        self._ice, self._certificate, self._closed = ice, certificate, closed
        self._dtls: ServerDtls | None = None
        self.done = 0
        self.cipher = ""

    async def run(self, remote: TransportParameters, role: str, fanout: Fanout, peer: int) -> None:
        """Raises ConnectionError."""

        def keys(profile: Profile, of_client: MasterKey, of_server: MasterKey) -> None:
            receive, send = (of_server, of_client) if role == "client" else (of_client, of_server)
            fanout.set_keys(peer, profile, receive, send)
            self.done += 1
            self.cipher = profile.name

        as_ice: Any = self._ice  # has what DTLS uses of it
        dtls = self._dtls = ServerDtls(as_ice, [self._certificate.value])
        dtls.on_keys = keys
        dtls._set_role(role)
        fingerprint = RTCDtlsFingerprint(*remote.fingerprint)
        try:
            await asyncio.wait_for(dtls.start(RTCDtlsParameters([fingerprint])), CONNECT_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionError("the DTLS handshake did not finish") from None
        if dtls.state != "connected":
            raise ConnectionError("the DTLS handshake failed")
        dtls.on("statechange", self._changed)

    async def close(self) -> None:
        if self._dtls is not None:
            self._dtls.remove_all_listeners()
            await self._dtls.stop()

    def _changed(self) -> None:
        if self._dtls is not None and self._dtls.state in ("closed", "failed"):
            self._closed()
