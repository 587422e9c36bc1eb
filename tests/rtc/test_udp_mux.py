"""One UDP port for all peers: whose datagram it is, and what is dropped. Pure but for the port's close."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout import DROP
from rtc.fanout_open import open_fanout
from rtc.mux_link import CHECK_BURST, MAX_WAITING_DATAGRAMS, MuxLink
from rtc.socket_address import Address, bind, pack_address, unpack_address
from rtc.udp_mux import MAX_ADDRESSES_PER_PEER, OWNER_S, UdpMux
from tests.rtc.secure_end import SecureEnd
from tests.rtc.transport_pair import packet

HOME, AWAY, OTHER = ("192.0.2.1", 1000), ("192.0.2.2", 2000), ("192.0.2.3", 3000)


class Port:
    """A port without a network: datagrams are put in and taken out by hand. Time in seconds is `now`."""

    def __init__(self) -> None:
        self.now = 500.0
        self.mux = UdpMux(open_fanout(), clock=lambda: self.now)

    def put(self, data: bytes, address: Address = HOME) -> None:
        self.mux.deliver(data, pack_address(*address))

    def sent(self) -> list[tuple[bytes, Address]]:
        """What has left since the last time."""
        self.mux.fanout.flush(-1, self.mux.now())
        return [(data, unpack_address(address)) for address, data in self.mux.fanout.take()]

    def send(self, link: MuxLink, data: bytes) -> None:
        self.mux.fanout.send_raw(link.peer, data)

    def check(
        self, link: MuxLink, address: Address = HOME, *, nominate: bool = True, password: str = ""
    ) -> None:
        self.put(binding(f"{link.ufrag}:me", password or link.password, nominate=nominate), address)

    def reasons(self) -> dict[str, int]:
        return dict(self.mux.dropped)

    def media(self, link: MuxLink) -> SecureEnd:
        """Gives the link keys; what its end seals arrives."""
        return SecureEnd(self.mux.fanout, link.peer)


def at(link: MuxLink) -> Address | None:
    return None if link.address is None else unpack_address(link.address)


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
def port() -> Port:
    return Port()


def test_a_check_is_answered_and_brings_the_address(port: Port) -> None:
    link = port.mux.link()
    port.send(link, b"dropped: there is no address yet")
    port.check(link)
    assert (at(link), link.state) == (HOME, "completed")
    ((data, address),) = port.sent()
    answer = stun.parse_message(data)
    assert address == HOME
    assert answer.message_class == stun.Class.RESPONSE
    assert answer.transaction_id == b"t" * 12
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == HOME
    assert answer.check_message_integrity(link.password.encode())
    port.send(link, b"media")
    assert port.sent() == [(b"media", HOME)]
    assert port.reasons() == {}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (b"\x00", "stun-malformed"),
        (b"\x00\x01" + bytes(18), "stun-malformed"),  # without the cookie
        (b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), "stun-not-a-check"),  # without a name
        (binding(None, "x" * 24), "stun-not-a-check"),
        (binding("nobody:me", "x" * 24), "stun-not-authorised"),
        (binding("nobody:me", None), "stun-not-authorised"),
        (binding("", "x" * 24), "stun-not-authorised"),
        (binding("nobody:me", "x" * 24)[:23], "stun-not-a-check"),
        (binding("n" * 40, "x" * 24)[:40], "stun-malformed"),
        (binding("ä" * 10, "x" * 24), "stun-not-authorised"),
        (b"\x16\xfe\xfd" + bytes(20), "unknown-address"),
        (b"\x80\x60" + bytes(20), "unknown-address"),
    ],
)
def test_what_strangers_send_is_counted_and_not_answered(port: Port, data: bytes, reason: str) -> None:
    port.mux.link()
    port.put(data)
    assert port.reasons() == {reason: 1}
    assert port.sent() == []


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
    port.sent()
    port.put(binding(f"{link.ufrag}:me", password, nominate=True), AWAY)
    assert port.reasons() == {"stun-not-authorised": 1}
    assert at(link) == HOME
    assert port.sent() == []


@given(data=st.binary(max_size=80), first=st.integers(0, 255))
def test_any_datagram_is_counted_or_handed_on(data: bytes, first: int) -> None:
    port = Port()
    link = port.mux.link()
    port.check(link)
    before = port.mux.packets_in
    for address in (HOME, AWAY):
        port.put(bytes([first]) + data, address)
    assert port.mux.packets_in == before + 2
    assert sum(port.mux.dropped.values()) + link._waiting.qsize() == 2
    assert len(port.sent()) == 1


@given(st.integers(0, 100), st.integers(0, 255), st.integers(0, 100))
def test_a_damaged_check_is_never_taken_for_one(place: int, value: int, cut: int) -> None:
    port = Port()
    link = port.mux.link()
    good = binding(f"{link.ufrag}:me", link.password, nominate=True)
    bad = bytearray(good)
    bad[place % len(good)] = value
    del bad[len(good) - cut % 4 :]
    port.put(bytes(bad))
    if bytes(bad) == good:
        assert at(link) == HOME
    elif link.address is not None:  # what follows the proof (a fingerprint of 8 bytes) proves nothing
        assert len(bad) == len(good)
        assert bad[:-8] == good[:-8]


def test_a_peer_moves_with_a_nominating_check(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    port.check(link, AWAY, nominate=False)
    assert at(link) == HOME
    port.check(link, AWAY)
    assert at(link) == AWAY
    port.sent()
    port.send(link, b"media")
    assert port.sent() == [(b"media", AWAY)]
    got: list[int] = []
    link.media_sink = lambda record, index, now: got.append(record.sequence) or DROP
    port.put(port.media(link).seal(packet(1)))  # late, from the old address
    assert got == [1]


def test_addresses_of_a_peer_are_bounded_and_the_present_one_stays(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    for number in range(3 * MAX_ADDRESSES_PER_PEER):
        port.check(link, ("198.51.100.1", number), nominate=False)
    assert len(link.addresses) == MAX_ADDRESSES_PER_PEER
    assert len(port.mux._by_address) == MAX_ADDRESSES_PER_PEER
    assert at(link) == HOME
    assert pack_address(*HOME) in link.addresses


def test_an_address_in_use_is_not_taken_over(port: Port) -> None:
    """A member who forges the sender of his own checks would get another's packets thrown away."""
    ann, ben = port.mux.link(), port.mux.link()
    port.check(ann)
    port.now += OWNER_S - 0.1
    port.check(ben, HOME)
    assert port.reasons() == {"address-taken": 1}
    assert (at(ann), at(ben)) == (HOME, None)


def test_an_address_that_was_given_up_can_be_taken_over(port: Port) -> None:
    ann, ben = port.mux.link(), port.mux.link()
    port.check(ann)
    port.now += OWNER_S + 0.1
    port.check(ben, HOME)
    assert (at(ann), at(ben)) == (None, HOME)
    port.send(ann, b"not to Ben")
    assert all(data != b"not to Ben" for data, _ in port.sent())
    ann.close()
    got: list[int] = []
    ben.media_sink = lambda record, index, now: got.append(record.sequence) or DROP
    port.put(port.media(ben).seal(packet(7)))
    assert got == [7]


def test_forgetting_old_addresses_leaves_those_of_others(port: Port) -> None:
    ann, ben = port.mux.link(), port.mux.link()
    port.check(ann, AWAY, nominate=True)
    port.check(ann)
    port.check(ben, AWAY)  # not Ann's present one
    for number in range(MAX_ADDRESSES_PER_PEER + 2):
        port.check(ann, ("198.51.100.1", number), nominate=False)
    assert port.mux._by_address[pack_address(*AWAY)] is ben


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
    end = port.media(link)
    media: list[int] = []
    reports: list[bytes] = []
    link.media_sink = lambda record, index, now: media.append(record.sequence) or DROP
    link.rtcp_sink = lambda data, now: reports.append(data)
    port.put(end.seal(packet(5)))
    port.put(end.seal(b"\x80\xc9\x00\x01" + bytes(4)))
    for first in (20, 63):
        port.put(bytes([first]))
    for first in (4, 19, 64, 127, 192, 255):
        port.put(bytes([first]))
    assert media == [5]
    assert reports == [b"\x80\xc9\x00\x01" + bytes(4)]
    assert link._waiting.qsize() == 2
    assert port.reasons() == {"media-before-keys": 1, "malformed": 6}


def test_a_flood_before_the_handshake_is_bounded(port: Port) -> None:
    link = port.mux.link()
    port.check(link)
    for _ in range(MAX_WAITING_DATAGRAMS + 10):
        port.put(b"\x16")
    assert port.reasons() == {"handshake-flood": 10}
    link.close()  # there is room for the end


def test_checks_of_one_peer_are_bounded(port: Port) -> None:
    """A flood with the right name and a wrong password costs no more than so many looks."""
    link, other = port.mux.link(), port.mux.link()
    for number in range(300):
        port.check(link, ("198.51.100.1", number + 1), password="w" * 24)
    reasons = port.reasons()
    assert reasons["stun-not-authorised"] == CHECK_BURST
    assert reasons["stun-flood"] == 300 - CHECK_BURST
    port.check(other, AWAY)
    assert at(other) == AWAY
    port.now += 1.0
    port.check(link)
    assert at(link) == HOME


def test_ipv4_on_a_socket_for_both_families(port: Port) -> None:
    link = port.mux.link()
    port.put(binding(f"{link.ufrag}:me", link.password), ("::ffff:192.0.2.1", 1000))
    ((data, address),) = port.sent()
    assert address == HOME
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
