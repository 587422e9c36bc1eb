"""Two forwarding planes that get the same calls, and all that can be seen of them compared."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from rtc.fanout import (
    DestinationPlan,
    ExtensionIds,
    Fanout,
    Record,
)
from rtc.fanout_socket import to_sockaddr
from rtc.srtp_session import SrtpSession
from tests.rtc.fanout_sources import Source


class DifferenceError(AssertionError):
    """The two do not agree; says where."""


class Path:
    """A peer as the harness plays it: a socket to send from, and keys."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = to_sockaddr(self.socket.getsockname())
        self.ids = ExtensionIds()
        self.session: SrtpSession | None = None
        self.sealed: list[bytes] = []  # lately, to be replayed
        self.rtcp = 0


class Pair:
    """Two planes, and what the harness knows is open in both. `seed` decides all that happens."""

    def __init__(self, make: Sequence[Callable[[], Fanout]], seed: int) -> None:
        self.random = Random(seed)
        self.seed, self.step, self.packets, self.doing = seed, 0, 0, ""
        self.planes = [one() for one in make]
        self.inputs = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in self.planes]
        for one in self.inputs:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        self.now = self.random.choice((0, 1_000_000, self.random.randrange(1 << 44)))
        self.paths: dict[int, Path] = {}
        self.sources: dict[int, Source] = {}  # by stream handle
        self.owners: dict[int, int] = {}  # stream -> peer
        self.destinations: dict[int, int] = {}  # destination -> peer
        self.plans: dict[int, DestinationPlan] = {}
        self.held: list[tuple[Path, bytes]] = []  # overtaken by others
        self.records: list[Record] = []
        self.orphans: list[Source] = []  # streams that nobody opened
        self.numbers: dict[int, int] = {}  # of each destination, a sequence number seen lately

    def close(self) -> None:
        for plane in self.planes:
            plane.close()
        for one in [*self.inputs, *(path.socket for path in self.paths.values())]:
            one.close()

    def both(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Calls a method of both; what it returned. A ValueError counts as a result."""
        self.doing = f"{name}{arguments!r}{named or ''}"[:300]
        found = []
        for plane in self.planes:
            try:
                found.append(getattr(plane, name)(*arguments, **named))
            except ValueError:
                found.append(ValueError)
        self.same(name, *found)
        return found[0]

    def same(self, what: str, first: Any, second: Any) -> None:
        if first != second:
            where = f"seed {self.seed}, step {self.step}, now {self.now}, {self.doing}"
            raise DifferenceError(f"{what}: {shown(first, second)}\n{where}")

    def compare(self) -> None:
        self.both("counters")
        for stream in self.sources:
            self.both("stream_statistics", stream)
        for destination in self.destinations:
            self.both("destination_state", destination)

    def come_in(self, batch: list[tuple[Path, bytes]]) -> None:
        """Sends a batch through sockets to both, which receive it."""
        for path, data in batch:
            for target in self.inputs:
                path.socket.sendto(data, target.getsockname())
        self.packets += len(batch)
        self.doing = f"receive of {len(batch)}"
        self.see(
            [
                plane.receive(one.fileno(), self.now)
                for plane, one in zip(self.planes, self.inputs, strict=True)
            ]
        )

    def see(self, found: list[Sequence[Record]]) -> None:
        first, second = ([tuple(record) for record in records] for records in found)
        self.same("records", first, second)
        self.records = [Record(*record) for record in first]
        for index in range(len(first)):
            self.both("packet", index)
            self.both("address", index)

    def seal(self, path: Path, packet: bytes) -> bytes | None:
        data = packet if path.session is None else path.session.seal_rtp(packet)
        if data is not None:
            path.sealed = [*path.sealed[-40:], data]
        return data


def shown(first: Any, second: Any) -> str:
    """The first place where two results differ."""
    if isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return f"{len(first)} entries against {len(second)}: {str(first)[:400]} / {str(second)[:400]}"
        index = next(
            index for index, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1]
        )
        return f"entry {index}: {shown(first[index], second[index])}"
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second):
        return "; ".join(
            f"field {index}: {shown(one, other)}"
            for index, (one, other) in enumerate(zip(first, second, strict=True))
            if one != other
        )
    if isinstance(first, dict) and isinstance(second, dict):
        return str(
            {
                key: (first.get(key), second.get(key))
                for key in {*first, *second}
                if first.get(key) != second.get(key)
            }
        )
    if isinstance(first, bytes) and isinstance(second, bytes):
        return f"{first.hex()} / {second.hex()}"
    return f"{first!r} / {second!r}"
