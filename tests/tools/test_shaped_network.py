"""The cables of the tests are as thin and as lossy as they say."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support import shaped_network
from tests.support.namespaces import inside
from tests.support.shaped_network import QUEUE_MS, ShapedNetwork

SIZE = 1000  # bytes of a packet, of which 958 are payload
PAYLOAD = bytes(SIZE - 42)
SILENCE = 1.5 * QUEUE_MS / 1000  # seconds after which no more will come


@pytest.fixture
def network() -> Iterator[ShapedNetwork]:
    reason = shaped_network.missing()
    if reason:
        pytest.skip(reason)
    with ShapedNetwork(2) as made:
        yield made


def opened(namespace: str, address: str) -> socket.socket:
    with inside(namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 0))
    return made


def sent_at_once(source: socket.socket, target: socket.socket, packets: int) -> tuple[int, float]:
    """How many of `packets` came, and the seconds until the last one did."""
    start = time.monotonic()
    count = 0
    for number in range(1, packets + 1):
        source.sendto(PAYLOAD, target.getsockname())
        if number % 50 == 0:  # before the buffer of the target is full
            count += arrived(target, 0.0)[0]
    rest, at = arrived(target, SILENCE)
    return count + rest, max(at, start) - start


def arrived(target: socket.socket, silence: float) -> tuple[int, float]:
    """How many packets came until none did for `silence` seconds, and when the last one came."""
    count, last = 0, 0.0
    while select.select([target], [], [], silence)[0]:
        target.recv(2 * SIZE)
        count, last = count + 1, time.monotonic()
    return count, last


def test_a_thin_cable_lets_its_rate_through_and_the_others_do_not_notice(network: ShapedNetwork) -> None:
    thin, free = network.cables
    with (
        opened(network.namespace, network.server) as server,
        opened(thin.namespace, thin.address) as first,
        opened(free.namespace, free.address) as second,
    ):
        assert sent_at_once(server, first, 100)[0] == 100
        thin.shape(down_kbps=300)
        count, seconds = sent_at_once(server, first, 100)
        assert 300 * QUEUE_MS / 8 / SIZE <= count <= 300 * QUEUE_MS / 8 / SIZE + 5, "the queue's length"
        assert seconds >= 0.9 * QUEUE_MS / 1000, "the rate"
        assert thin.dropped() == 100 - count
        assert sent_at_once(server, second, 100)[0] == 100
        assert sent_at_once(first, server, 100)[0] == 100
        thin.shape(up_kbps=300)
        assert sent_at_once(first, server, 100)[0] < 20
        thin.free()
        assert sent_at_once(server, first, 100)[0] == sent_at_once(first, server, 100)[0] == 100


def test_a_lossy_cable_loses_its_share_both_ways(network: ShapedNetwork) -> None:
    """Of 4,000 packets 200 are lost on average, with a deviation of 14: seven of them are allowed."""
    cable = network.cables[0]
    with (
        opened(network.namespace, network.server) as server,
        opened(cable.namespace, cable.address) as member,
    ):
        cable.shape(loss_percent=5)
        for source, target in ((server, member), (member, server)):
            count, _ = sent_at_once(source, target, 4000)
            assert 100 <= 4000 - count <= 300
        cable.free()
        assert sent_at_once(server, member, 100)[0] == 100


def test_nothing_of_a_network_is_left(network: ShapedNetwork) -> None:
    network.__exit__(None, None, None)
    for namespace in (network.namespace, *(cable.namespace for cable in network.cables)):
        with pytest.raises(FileNotFoundError), inside(namespace):
            pass
