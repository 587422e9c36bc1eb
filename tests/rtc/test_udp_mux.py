"""One UDP port for all peers: whose datagram it is, and what is dropped. Pure but for the port's close."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rtc.udp_mux import MAX_ADDRESSES_PER_PEER, MAX_WAITING_DATAGRAMS, OWNER_S, MuxLink, UdpMux, bind

HOME, AWAY, OTHER = ("192.0.2.1", 1000), ("192.0.2.2", 2000), ("192.0.2.3", 3000)


class Clock:
    """Stands in for the loop: the port asks it for the time and for futures."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.now = 500.0

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[None]:
        return self.loop.create_future()


class FakeSocket:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []

    def sendto(self, data: bytes, address: Any) -> None:
        self.sent.append((data, address))

    def is_closing(self) -> bool:
        return False


class Port:
    """A port without a network: datagrams are put in by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self.clock)
        self.mux = UdpMux()
        self.socket = FakeSocket()
        self.mux._transport = self.socket

    def put(self, data: bytes, address: tuple[Any, ...] = HOME) -> None:
        self.mux.datagram_received(data, address)

    def check(
        self, link: MuxLink, address: tuple[str, int] = HOME, *, nominate: bool = True, password: str = ""
    ) -> None:
        self.put(binding(f"{link.ufrag}:me", password or link.password, nominate=nominate), address)

    def reasons(self) -> dict[str, int]:
        return dict(self.mux.dropped)


def binding(username: str | None, password: str | None, *, nominate: bool = False) -> bytes:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=b"t" * 12)
    if username is not None:
        request.attributes["USERNAME"] = username
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    if password is not None:
        request.add_message_integrity(password.encode())
    return bytes(request)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    made = Port(monkeypatch)
    yield made
    made.clock.loop.close()


def test_a_check_is_answered_and_brings_the_address(port: Port) -> None:
    link = port.mux.link()
    link.send(b"dropped: there is no address yet")
    port.check(link)
    assert (link.address, link.state) == (HOME, "completed")
    ((data, address),) = port.socket.sent
    answer = stun.parse_message(data)
    assert address == HOME
    assert answer.message_class == stun.Class.RESPONSE
    assert answer.transaction_id == b"t" * 12
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == HOME
    assert answer.check_message_integrity(link.password.encode())
    link.send(b"media")
    assert port.socket.sent[-1] == (b"media", HOME)
    assert port.reasons() == {}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x00", "stun-malformed"),
        (b"\x00\x01" + bytes(18), "stun-not-a-check"),  # without a name
        (binding(None, "x" * 24), "stun-not-a-check"),
        (binding("nobody:me", "x" * 24), "stun-not-authorised"),
        (binding("nobody:me", None), "stun-not-authorised"),
        (binding("", "x" * 24), "stun-not-authorised"),
        (binding("nobody:me", "x" * 24)[:-1], "stun-malformed"),
        (b"\x16\xfe\xfd" + bytes(20), "unknown-address"),
        (b"\x80\x60" + bytes(20), "unknown-address"),
    ],
)
def test_what_strangers_send_is_counted_and_not_answered(port: Port, data: bytes, reason: str) -> None:
    port.mux.link()
    port.put(data)
    assert port.reasons() == {reason: 1}
    assert port.socket.sent == []


@pytest.mark.parametrize("kind", [stun.Class.RESPONSE, stun.Class.ERROR, stun.Class.INDICATION])
def test_only_requests_are_checks(port: Port, kind: stun.Class) -> None:
    link = port.mux.link()
    message = stun.Message(stun.Method.BINDING, kind, attributes={"USERNAME": f"{link.ufrag}:me"})
    message.add_message_integrity(link.password.encode())
    port.put(bytes(message))
    assert port.reasons() == {"stun-not-a-check": 1}
    assert link.address is None


@pytest.mark.parametrize("password", [None, "wrong" * 5])
def test_a_check_without_the_password_changes_nothing(port: Port, password: str | None) -> None:
    link = port.mux.link()
    port.check(link)
    port.socket.sent.clear()
    port.put(binding(f"{link.ufrag}:me", password, nominate=True), AWAY)
    assert port.reasons() == {"stun-not-authorised": 1}
    assert link.address == HOME
    assert port.socket.sent == []


@given(data=st.binary(max_size=80), first=st.integers(0, 255))
def test_any_datagram_is_counted_or_handed_on(data: bytes, first: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        port = Port(patch)
        link = port.mux.link()
        port.check(link)
        before = port.mux.packets_in
        try:
            for address in (HOME, AWAY):
                port.put(bytes([first]) + data, address)
            assert port.mux.packets_in == before + 2
            assert sum(port.mux.dropped.values()) + link._waiting.qsize() == 2
            assert len(port.socket.sent) == 1
        finally:
            port.clock.loop.close()


@given(st.integers(0, 100), st.integers(0, 255), st.integers(0, 100))
def test_a_damaged_check_is_never_taken_for_one(place: int, value: int, cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        port = Port(patch)
        link = port.mux.link()
        try:
            good = binding(f"{link.ufrag}:me", link.password, nominate=True)
            bad = bytearray(good)
            bad[place % len(good)] = value
            del bad[len(good) - cut % 4 :]
            port.put(bytes(bad))
            if bytes(bad) == good:
                assert link.address == HOME
            elif link.address is not None:  # what follows the proof (a fingerprint of 8 bytes) proves nothing
                assert len(bad) == len(good)
                assert bad[:-8] == good[:-8]
        finally:
            port.clock.loop.close()


def test_a_peer_moves_with_a_nominating_check(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    port.check(link, AWAY, nominate=False)
    assert link.address == HOME
    port.check(link, AWAY)
    assert link.address == AWAY
    link.send(b"media")
    assert port.socket.sent[-1] == (b"media", AWAY)
    got: list[bytes] = []
    link.media_sink = got.append
    port.put(b"\x80 late, from the old address")
    assert len(got) == 1


def test_addresses_of_a_peer_are_bounded_and_the_present_one_stays(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    for number in range(3 * MAX_ADDRESSES_PER_PEER):
        port.check(link, ("198.51.100.1", number), nominate=False)
    assert len(link.addresses) == MAX_ADDRESSES_PER_PEER
    assert len(port.mux._by_address) == MAX_ADDRESSES_PER_PEER
    assert link.address == HOME
    assert HOME in link.addresses


def test_an_address_in_use_is_not_taken_over(port: Port) -> None:
    """A member who forges the sender of his own checks would get another's packets thrown away."""
    ann, ben = port.mux.link(), port.mux.link()
    port.check(ann)
    port.clock.now += OWNER_S - 0.1
    port.check(ben, HOME)
    assert port.reasons() == {"address-taken": 1}
    assert (ann.address, ben.address) == (HOME, None)


def test_an_address_that_was_given_up_can_be_taken_over(port: Port) -> None:
    ann, ben = port.mux.link(), port.mux.link()
    port.check(ann)
    port.clock.now += OWNER_S + 0.1
    port.check(ben, HOME)
    assert (ann.address, ben.address) == (None, HOME)
    ann.send(b"not to Ben")
    assert all(data != b"not to Ben" for data, _ in port.socket.sent)
    ann.close()
    got: list[bytes] = []
    ben.media_sink = got.append
    port.put(b"\x80 Ben's")
    assert got == [b"\x80 Ben's"]


def test_forgetting_old_addresses_leaves_those_of_others(port: Port) -> None:
    ann, ben = port.mux.link(), port.mux.link()
    port.check(ann, AWAY, nominate=True)
    port.check(ann)
    port.check(ben, AWAY)  # not Ann's present one
    for number in range(MAX_ADDRESSES_PER_PEER + 2):
        port.check(ann, ("198.51.100.1", number), nominate=False)
    assert port.mux._by_address[AWAY] is ben


def test_a_link_that_is_closed_leaves_nothing(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    port.check(link, AWAY)
    link.close()
    link.close()
    assert link.state == "closed"
    assert port.mux._by_address == {}
    assert port.mux._by_ufrag == {}
    port.check(link)
    assert port.reasons() == {"stun-not-authorised": 1}


def test_kinds_of_datagrams_are_told_apart(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    port.put(b"\x80 media before the keys")
    got: list[bytes] = []
    link.media_sink = got.append
    for first in (128, 191):
        port.put(bytes([first]))
    for first in (20, 63):
        port.put(bytes([first]))
    for first in (4, 19, 64, 127, 192, 255):
        port.put(bytes([first]))
    assert got == [b"\x80", b"\xbf"]
    assert link._waiting.qsize() == 2
    assert port.reasons() == {"media-before-keys": 1, "not-webrtc": 6}


def test_a_flood_before_the_handshake_is_bounded(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    for _ in range(MAX_WAITING_DATAGRAMS + 10):
        port.put(b"\x16")
    assert port.reasons() == {"handshake-flood": 10}
    link.close()  # there is room for the end


def test_nothing_is_sent_while_the_socket_is_full(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    port.mux.pause_writing()
    link.send(b"x")
    assert port.reasons() == {"send-buffer-full": 1}
    port.mux.resume_writing()
    link.send(b"y")
    assert port.socket.sent[-1][0] == b"y"


def test_an_answer_that_nobody_takes_is_counted(port: Port) -> None:
    port.mux.error_received(ConnectionRefusedError())
    assert port.reasons() == {"unreachable": 1}


def test_ipv4_on_a_socket_for_both_families(port: Port) -> None:
    link = port.mux.link()
    port.put(binding(f"{link.ufrag}:me", link.password), ("::ffff:192.0.2.1", 1000, 0, 0))
    data, address = port.socket.sent[-1]
    assert address == ("::ffff:192.0.2.1", 1000)
    assert stun.parse_message(data).attributes["XOR-MAPPED-ADDRESS"] == HOME


def test_candidates_are_preferred_in_their_order(port: Port) -> None:
    port.mux.port = 3478
    first, second = port.mux.candidates(["192.0.2.1", "2001:db8::1"])
    assert (first.host, first.port, second.host) == ("192.0.2.1", 3478, "2001:db8::1")
    assert first.priority > second.priority


async def test_a_real_port_opens_and_closes() -> None:
    mux = await UdpMux.open("127.0.0.1", 0)
    assert mux.port > 0
    link = mux.link()
    receiving = asyncio.create_task(link._recv())
    await asyncio.sleep(0)
    await mux.close()
    with pytest.raises(ConnectionError):
        await receiving
    with pytest.raises(ConnectionError):
        await link._recv()
    with pytest.raises(ConnectionError):
        await link._send(b"x")
    with pytest.raises(ConnectionError):
        await link.wait_ready(1)
    link.send(b"nowhere")


async def test_a_port_in_use_is_an_error() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        await UdpMux.open("127.0.0.1", taken.getsockname()[1])


async def test_a_peer_that_never_comes() -> None:
    mux = await UdpMux.open("127.0.0.1", 0)
    with pytest.raises(ConnectionError, match="no connectivity check"):
        await mux.link().wait_ready(0.001)
    await mux.close()


def test_any_address_serves_both_families() -> None:
    try:
        sock = bind("::", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("127.0.0.1", sock.getsockname()[1]))
        sock.settimeout(5)
        data, address = sock.recvfrom(100)
    assert data == b"hello"
    assert address[0] == "::ffff:127.0.0.1"
