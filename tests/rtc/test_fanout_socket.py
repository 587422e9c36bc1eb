"""Datagrams through real sockets on loopback."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout import BATCH, MAX_DATAGRAM
from rtc.fanout_outbox import Burst, Outbox
from rtc.fanout_socket import Sockets, from_sockaddr, is_sockaddr, to_sockaddr
from rtc.fanout_twin import PythonFanout


@contextmanager
def bound(family: int = socket.AF_INET) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        opened.setblocking(False)
        yield opened


@contextmanager
def held() -> Iterator[Sockets]:
    sockets = Sockets()
    try:
        yield sockets
    finally:
        sockets.close()


@given(st.ip_addresses(), st.integers(0, 65535), st.integers(0, 2**20 - 1), st.integers(0, 2**32 - 1))
def test_addresses_and_the_systems_form(host: object, port: int, flow: int, scope: int) -> None:
    address: tuple[object, ...] = (str(host), port)
    if ":" in str(host):
        address = (*address, flow, scope)
    name = to_sockaddr(address)
    assert is_sockaddr(name)
    back = from_sockaddr(name)
    assert back[1:] == address[1:]
    assert socket.getaddrinfo(back[0], 0)[0][4][0] == socket.getaddrinfo(str(host), 0)[0][4][0]


def test_what_is_no_sockaddr() -> None:
    assert not is_sockaddr(b"somebody")
    with pytest.raises(ValueError, match="16 or 28"):
        from_sockaddr(b"somebody")


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_is_sent_comes_in_order(family: int, many: bool) -> None:
    with bound(family) as near, bound(family) as far, held() as sockets:
        if not many:
            sockets._messages = None  # as on a system without sendmmsg
        name = to_sockaddr(far.getsockname())
        outbox = Outbox()
        for index in range(70):
            outbox.put(name, bytes((index,)) * (index + 1))
        assert sockets.send(near.fileno(), outbox.bursts) == (70, 2485, 0)
        assert not outbox.bursts
        found = sockets.receive(far.fileno()) + sockets.receive(far.fileno())
        assert [data for _, data in found] == [bytes((index,)) * (index + 1) for index in range(70)]
        assert {address for address, _ in found} == {to_sockaddr(near.getsockname())}
        assert len(sockets.receive(far.fileno())) == 0


@pytest.mark.parametrize("many", [True, False])
def test_equal_sizes_come_one_by_one(many: bool) -> None:
    with bound() as near, bound() as far, held() as sockets:
        if not many:
            sockets._messages = None
        sent = [bytes((index,)) * 100 for index in range(30)]
        outbox = Outbox()
        outbox.put(to_sockaddr(("127.0.0.1", 0)), b"not to be sent")
        for data in sent:
            outbox.put(to_sockaddr(far.getsockname()), data)
        assert sockets.send(near.fileno(), outbox.bursts) == (30, 3000, 1)
        assert [data for _, data in sockets.receive(far.fileno())] == sent


@pytest.mark.parametrize("many", [True, False])
def test_more_addresses_than_are_remembered(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one goes where it shall, though others had their place before."""
    monkeypatch.setattr("rtc.fanout_socket._REMEMBERED", 100)
    with ExitStack() as stack:
        near, sockets = stack.enter_context(bound()), stack.enter_context(held())
        far = [stack.enter_context(bound()) for _ in range(130)]
        if not many:
            sockets._messages = None
        for turn in range(2):
            outbox = Outbox()
            for index, opened in enumerate(far):
                outbox.put(to_sockaddr(opened.getsockname()), bytes((turn, index)))
            assert sockets.send(near.fileno(), outbox.bursts) == (130, 260, 0)
        for index, opened in enumerate(far):
            found = [data for _, data in sockets.receive(opened.fileno())]
            assert found == [bytes((turn, index)) for turn in range(2)]


@pytest.mark.parametrize("many", [True, False])
def test_what_cannot_be_sent_does_not_hold_up_the_rest(many: bool) -> None:
    with bound() as near, bound() as far, held() as sockets:
        if not many:
            sockets._messages = None
        good, bad = to_sockaddr(far.getsockname()), to_sockaddr(("127.0.0.1", 0))
        outbox = Outbox()
        for address, data in ((good, b"1"), (bad, b"2"), (bad, b"3"), (good, b"4")):
            outbox.put(address, data)
        assert sockets.send(near.fileno(), outbox.bursts) == (2, 2, 2)
        assert [data for _, data in sockets.receive(far.fileno())] == [b"1", b"4"]


def test_a_batch_has_its_size_and_a_long_datagram_shows() -> None:
    with bound() as near, bound() as far, held() as sockets:
        for index in range(BATCH + 3):
            near.sendto(bytes((index,)), far.getsockname())
        assert len(sockets.receive(far.fileno())) == BATCH
        assert len(sockets.receive(far.fileno())) == 3
        near.sendto(bytes(5000), far.getsockname())
        ((_, data),) = sockets.receive(far.fileno())
        assert len(data) > MAX_DATAGRAM


def test_what_a_full_socket_does_not_take_is_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """UDP on loopback is never full, so the sending is replaced."""
    with bound() as near, bound() as far:
        fanout = PythonFanout()
        sent = []

        def full(fd: int, bursts: deque[Burst]) -> tuple[int, int, int]:
            sent.append(sum(burst.count for burst in bursts))
            return 0, 0, 0

        monkeypatch.setattr(fanout._sockets, "send", full)
        for index in range(5000):
            fanout.send_to(to_sockaddr(far.getsockname()), index.to_bytes(2, "big"))
        assert fanout.flush(near.fileno(), 0) == 4096
        assert fanout.counters()["send-buffer-full"] == 5000 - 4096
        assert fanout.flush(near.fileno(), 0) == 4096
        assert sent == [5000, 4096]
        fanout.close()


def test_a_plane_receives_and_sends_and_leaves_the_sockets_open() -> None:
    with bound() as server, bound() as client:
        fanout = PythonFanout(clear=True)
        peer = fanout.open_peer()
        client_name = to_sockaddr(client.getsockname())
        fanout.route(client_name, peer)
        fanout.set_address(peer, client_name)
        client.sendto(b"\x16hello", server.getsockname())
        (record,) = fanout.receive(server.fileno(), 5)
        assert (record.peer, fanout.address(0), fanout.packet(0)) == (peer, client_name, b"\x16hello")
        fanout.send_raw(peer, b"\x16back")
        fanout.send_to(b"by another way", b"aside")
        assert fanout.flush(server.fileno(), 6) == 0
        assert client.recv(100) == b"\x16back"
        assert fanout.take() == [(b"by another way", b"aside")]
        assert fanout.counters()["sent"] == 2
        fanout.close()
        client.sendto(b"still", server.getsockname())
        assert server.recv(100) == b"still"
