"""Sockets are bounded before a byte is read: by number, by address, and by how long they say nothing."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_lite import doorkeeper
from server_lite.config import Settings
from server_lite.doorkeeper import MAX_PENDING, Doorkeeper
from server_lite.metrics import Tally
from tests.server_lite.serving import serving


class FakeTransport:
    def __init__(self, address: str) -> None:
        self.address, self.aborted = address, False

    def get_extra_info(self, name: str) -> Any:
        return (self.address, 1234) if name == "peername" else None

    def abort(self) -> None:
        self.aborted = True


class Door:
    def __init__(self, **changes: Any) -> None:
        self.tally = Tally()
        self.keeper = Doorkeeper(Settings(**changes), self.tally)
        self.transports: list[FakeTransport] = []

    def knock(self, address: str = "192.0.2.1") -> tuple[Any, bool]:
        transport = FakeTransport(address)
        self.transports.append(transport)
        return cast(Any, transport), self.keeper.came(cast(Any, transport))

    @property
    def inside(self) -> int:
        return len(self.keeper._open)


def test_when_too_many_say_nothing_the_oldest_goes() -> None:
    door = Door(max_connections_per_address=10_000, max_connections=10_000)
    for _ in range(MAX_PENDING + 100):
        assert door.knock()[1]
    assert [t.aborted for t in door.transports] == [True] * 100 + [False] * MAX_PENDING
    assert door.inside == MAX_PENDING
    assert door.tally.connections_refused == 100


def test_who_has_spoken_is_not_the_one_to_go() -> None:
    door = Door(max_connections_per_address=10_000, max_connections=10_000)
    member, _ = door.knock()
    door.keeper.spoke(member)
    for _ in range(2 * MAX_PENDING):
        door.knock()
    assert not member.aborted
    door.keeper.overdue(member)
    assert not member.aborted


def test_who_waits_again_after_an_answer_may_go_again() -> None:
    door = Door()
    visitor, _ = door.knock()
    door.keeper.spoke(visitor)
    door.keeper.waits(visitor)
    door.keeper.overdue(visitor)
    assert visitor.aborted
    door.keeper.waits(visitor)  # gone already
    assert door.keeper._pending == {}


def test_one_address_gets_no_more_than_its_share() -> None:
    door = Door(max_connections_per_address=3)
    assert [door.knock()[1] for _ in range(5)] == [True, True, True, False, False]
    assert door.knock("192.0.2.2")[1]
    door.keeper.went(cast(Any, door.transports[0]))
    assert door.knock()[1]


def test_all_together_get_no_more_than_fits() -> None:
    door = Door(max_connections=4, max_connections_per_address=2)
    taken = [door.knock(f"192.0.2.{n}")[1] for n in range(6)]
    assert taken == [True] * 4 + [False] * 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["come", "go", "speak", "wait", "late"]), st.integers(0, 9)), max_size=80
    )
)
def test_counts_are_right_in_any_order(steps: list[tuple[str, int]]) -> None:
    door = Door(max_connections=7, max_connections_per_address=4)
    keeper = door.keeper
    acts = {"go": keeper.went, "speak": keeper.spoke, "wait": keeper.waits, "late": keeper.overdue}
    for step, number in steps:
        if step == "come":
            door.knock(f"192.0.2.{number % 3}")
        elif number < len(door.transports):
            acts[step](cast(Any, door.transports[number]))
        assert door.inside == sum(keeper._per_address.values()) <= 7
        assert all(0 < count <= 4 for count in keeper._per_address.values())
        assert set(keeper._pending) <= set(keeper._open)
        assert all(not cast(Any, t).aborted for t in keeper._open)
    for transport in door.transports:
        keeper.went(cast(Any, transport))
    assert not keeper._open
    assert not keeper._pending
    assert not keeper._per_address


async def says(reader: asyncio.StreamReader) -> bytes:
    """All until the server closes."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


async def test_a_head_that_does_not_come_whole_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "HEAD_TIMEOUT_S", 0.2)
    async with serving() as served:
        for start in (b"", REQUEST):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(start)
            assert await says(reader) == b""
            writer.close()
        assert served.state.tally.connections_refused == 2


async def test_the_next_head_on_a_kept_connection_has_a_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "HEAD_TIMEOUT_S", 0.3)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for _ in range(3):
            writer.write(REQUEST + b"\r\n")
            assert b"200 OK" in await reader.readuntil(b"}")
            await asyncio.sleep(0.15)
        writer.write(b"GET /healthz HTTP/1.1\r\nDrip:")
        assert await says(reader) == b""
        writer.close()
        assert served.state.tally.connections_refused == 1


async def test_two_requests_at_once_are_both_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "HEAD_TIMEOUT_S", 0.3)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write((REQUEST + b"\r\n") * 2)
        for _ in range(2):
            assert b"200 OK" in await reader.readuntil(b"}")
        assert await says(reader) == b""  # and then it said nothing more
        writer.close()


async def test_a_member_is_not_taken_for_one_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "HEAD_TIMEOUT_S", 0.2)
    async with serving() as served:
        opened = served.open()
        async with served.member(opened) as ann:
            await asyncio.sleep(0.4)
            answer = await ann.ask(
                {"type": "media.mute", "id": 3, "source": "camera", "muted": True}, "media.muted"
            )
            assert answer["re"] == 3


async def test_places_are_given_back() -> None:
    async with serving(max_connections_per_address=2) as served:
        opened = served.open()
        for _ in range(5):
            async with served.member(opened):
                assert (await served.request("GET", "/healthz")).status_code == 200
