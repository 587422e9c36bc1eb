"""Addresses as the system has them, and ports of a range."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout_socket import to_sockaddr
from rtc.socket_address import bind, bind_in_range, pack_address, unpack_address

HOST = "127.0.0.1"


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_survives_both_ways(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    raw = pack_address(str(address), port)
    host, same_port = unpack_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    assert ipaddress.ip_address(host) == (mapped or address)
    assert same_port == port
    parts = (str(address), port) if address.version == 4 else (str(address), port, 0, 0)
    assert raw == to_sockaddr(parts)


@pytest.mark.parametrize("host", ["", "nowhere", "999.1.1.1", ":::", "127.0.0.1 "])
def test_what_is_no_address_is_an_error(host: str) -> None:
    with pytest.raises(OSError, match="illegal IP address"):
        pack_address(host, 1)


def test_an_address_is_that_of_the_system() -> None:
    with bind(HOST, 0) as here, bind(HOST, 0) as there:
        there.sendto(b"x", here.getsockname())
        here.settimeout(5)
        assert unpack_address(pack_address(*here.recvfrom(10)[1])) == there.getsockname()


def _free(count: int) -> int:
    """The first of so many ports that are free side by side."""
    for _ in range(50):
        with bind(HOST, 0) as sock:
            first = sock.getsockname()[1]
        try:
            for port in range(first, first + count):
                bind(HOST, port).close()
        except (OSError, OverflowError):
            continue
        return int(first)
    raise AssertionError("no free ports")


def test_the_first_free_port_of_a_range_is_taken() -> None:
    first = _free(3)
    with bind_in_range(HOST, range(first, first + 3)) as one:
        assert one.getsockname()[1] == first
        with bind_in_range(HOST, range(first, first + 3)) as two:
            assert two.getsockname()[1] == first + 1
            with pytest.raises(OSError, match="in use"):
                bind_in_range(HOST, range(first, first + 2))
    with pytest.raises(OSError, match="empty"):
        bind_in_range(HOST, range(0))


def test_a_port_is_not_shared_unless_both_want_it() -> None:
    with bind(HOST, 0, reuse_port=True) as first:
        port = first.getsockname()[1]
        with bind(HOST, port, reuse_port=True) as second:
            assert second.getsockname() == first.getsockname()
        with pytest.raises(OSError, match="in use"):
            bind(HOST, port)


@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6(host: str) -> None:
    with bind(host, 0) as sock, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("::1", sock.getsockname()[1]))
        sock.settimeout(5)
        assert sock.recvfrom(100)[1][0] == "::1"
