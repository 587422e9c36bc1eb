"""All meetings of one server: which token leads where, which one makes place, what survives a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from rtc.secret import Secret
from rtc.signalling import Message, ProtocolError, session
from server_lite import room as events
from server_lite.config import Settings
from server_lite.load import Limits
from server_lite.media_room import Events, MediaSnapshot
from server_lite.meeting import Media
from server_lite.meetings import Meetings, Opened, new_id
from tests.support.virtual_time import VirtualClock


class FakeConnection:
    def __init__(self) -> None:
        self.closed = ""

    def tell(self, message: Message) -> None:
        pass

    def close(self, code: str, sentence: str) -> None:
        self.closed = code


class FakeMedia:
    """The media of a room in which nothing flows; counts what a test tells it to."""

    def __init__(self) -> None:
        self.counted = MediaSnapshot()

    def snapshot(self) -> MediaSnapshot:
        return self.counted

    async def close(self) -> None:
        pass


class FakeHost:
    """Carries no media."""

    new_rooms = True

    def open(self, room: str, events: Events) -> Media:
        return cast(Media, FakeMedia())


def hello(token: Secret, **changes: Any) -> session.Hello:
    fields: dict[str, Any] = {"id": 4, "protocol": [1], "token": token, "name": "Ann"}
    return session.Hello(**(fields | changes))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def make(clock: VirtualClock, host: FakeHost, tmp_path: Path) -> Callable[..., Meetings]:
    def make(**changes: Any) -> Meetings:
        settings = Settings(**({"state_file": tmp_path / "deep" / "state.json"} | changes))
        return Meetings(settings, cast(Any, host), lambda: ("192.0.2.1", 8443), clock)

    return make


def occupied(opened: Opened) -> None:
    opened.meeting.room.handle(events.Join(hello(opened.invitation.token)), 0.0)


def test_the_token_is_the_way_in(make: Callable[..., Meetings]) -> None:
    meetings = make()
    one, other = meetings.open("One"), meetings.open("Other")
    token = one.invitation.token
    assert meetings.find(hello(token)) is one.meeting
    assert meetings.find(hello(token, room=one.meeting.room.id)) is one.meeting
    assert meetings.by_token(token) is one
    with pytest.raises(ProtocolError, match="token-wrong"):
        meetings.by_token(token, other.meeting.room.id)


def test_a_wrong_token_and_a_wrong_room_sound_the_same(make: Callable[..., Meetings]) -> None:
    meetings = make()
    one, other = meetings.open("One"), meetings.open("Other")
    wrong = [
        hello(Secret("wrong")),
        hello(Secret("")),
        hello(Secret("wrong"), room=one.meeting.room.id),
        hello(one.invitation.token, room=other.meeting.room.id),
        hello(one.invitation.token, room="nosuchroom"),
    ]
    said = set()
    for message in wrong:
        with pytest.raises(ProtocolError) as refused:
            meetings.find(message)
        said.add((refused.value.code, refused.value.sentence, refused.value.re))
    assert len(said) == 1
    assert next(iter(said))[0] == "token-wrong"


def test_meetings_survive_a_restart(make: Callable[..., Meetings]) -> None:
    before = make()
    opened = [before.open(f"Meeting {n}") for n in range(3)]
    after = make()
    assert after.invitations() == before.invitations()
    for one in opened:
        again = after.by_token(one.invitation.token, one.meeting.room.id)
        assert again.meeting.room.title == one.meeting.room.title
        assert len(again.meeting.room) == 0


def test_the_state_file_is_for_the_owner_alone(make: Callable[..., Meetings], tmp_path: Path) -> None:
    make().open("Monday")
    path = tmp_path / "deep" / "state.json"
    assert path.stat().st_mode & 0o077 == 0
    assert [p.name for p in path.parent.iterdir()] == ["state.json"]


GOOD = {"room": "r", "title": "T", "token": "t"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"rooms": 5}',
        b'{"rooms": {"a": 1}}',
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({"rooms": [GOOD, {"room": "r"}]}).encode(),
        json.dumps({"rooms": [GOOD | {"room": "../etc"}]}).encode(),
        json.dumps({"rooms": [GOOD | {"token": ""}]}).encode(),
        json.dumps({"rooms": [GOOD | {"token": 5}]}).encode(),
        json.dumps({"rooms": [GOOD | {"title": None}]}).encode(),
    ],
)
def test_a_state_that_cannot_be_read_is_set_aside(
    make: Callable[..., Meetings], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "deep" / "state.json"
    path.parent.mkdir()
    path.write_bytes(content)
    meetings = make()
    assert meetings.invitations() == []
    assert path.with_suffix(".unreadable").read_bytes() == content
    meetings.open("Monday")
    assert len(make().invitations()) == 1


async def test_a_state_that_cannot_be_written_is_said(tmp_path: Path, make: Callable[..., Meetings]) -> None:
    (tmp_path / "file").write_text("")
    meetings = make(state_file=tmp_path / "file" / "state.json")
    with pytest.raises(ProtocolError, match="state-not-saved"):
        meetings.open("Monday")
    assert meetings.invitations() == []
    await meetings.close()


async def test_the_meeting_that_is_empty_for_longest_makes_place(
    make: Callable[..., Meetings], clock: VirtualClock
) -> None:
    meetings = make(max_rooms=3)
    first = meetings.open("First")
    clock.advance(1)
    second = meetings.open("Second")
    clock.advance(1)
    third = meetings.open("Third")
    occupied(first)
    clock.advance(10)
    members = first.meeting.room.dump()["members"]
    assert isinstance(members, list)
    first.meeting.room.handle(events.Leave(members[0]["id"]), clock())
    clock.advance(1)
    fourth = meetings.open("Fourth")  # the first was empty for 1 s, the second for 13
    assert meetings.invitations() == [o.invitation for o in (first, third, fourth)]
    with pytest.raises(ProtocolError, match="token-wrong"):
        meetings.by_token(second.invitation.token)
    assert make(max_rooms=3).invitations() == meetings.invitations()
    await meetings.close()


async def test_meetings_with_people_in_them_stay(make: Callable[..., Meetings]) -> None:
    meetings = make(max_rooms=2)
    opened = [meetings.open("One"), meetings.open("Two")]
    for one in opened:
        occupied(one)
    with pytest.raises(ProtocolError, match="rooms-full"):
        meetings.open("Three")
    assert meetings.invitations() == [o.invitation for o in opened]


async def test_what_went_through_an_ended_meeting_stays_counted(make: Callable[..., Meetings]) -> None:
    meetings = make(max_rooms=1)
    for _ in range(3):
        meetings.open("Next").meeting.media.snapshot().counters.packets_in = 10
    assert meetings.ended.packets_in == 20
    assert len(list(meetings)) == 1
    await meetings.close()


def test_no_more_are_remembered_than_fit(make: Callable[..., Meetings]) -> None:
    before = make(max_rooms=5)
    invitations = [before.open(str(n)).invitation for n in range(5)]
    assert make(max_rooms=2).invitations() == invitations[-2:]


def test_without_a_file_nothing_is_written(make: Callable[..., Meetings], tmp_path: Path) -> None:
    make(state_file=None).open("Monday")
    assert list(tmp_path.iterdir()) == []


def test_ids_are_not_mistaken_for_each_other() -> None:
    ids = {new_id("m") for _ in range(1000)}
    assert len(ids) == 1000
    assert not set("".join(ids)) & set("0o1il")


async def test_everybody_is_told_when_the_server_stops(make: Callable[..., Meetings]) -> None:
    meetings = make()
    opened = meetings.open("Monday")
    connection = FakeConnection()
    opened.meeting._connections["m1"] = connection
    await meetings.close()
    assert connection.closed == "server-stopping"


def _drain(meetings: Meetings, host: FakeHost) -> None:
    meetings.draining = True


def _overload(meetings: Meetings, host: FakeHost) -> None:
    meetings.load.limits = Limits(new_rooms=False)


def _overload_the_host(meetings: Meetings, host: FakeHost) -> None:
    host.new_rooms = False


REFUSALS = [("draining", _drain), ("overloaded", _overload), ("overloaded", _overload_the_host)]


@pytest.mark.parametrize(("code", "refuse"), REFUSALS)
def test_no_meeting_begins_and_those_that_have_begun_go_on(
    make: Callable[..., Meetings], host: FakeHost, code: str, refuse: Callable[[Meetings, FakeHost], None]
) -> None:
    meetings = make()
    empty, used = meetings.open("Empty"), meetings.open("Used")
    occupied(used)
    refuse(meetings, host)
    with pytest.raises(ProtocolError, match=code):
        meetings.open("New")
    with pytest.raises(ProtocolError, match=code) as refused:
        meetings.find(hello(empty.invitation.token))
    assert refused.value.re == 4
    assert meetings.find(hello(used.invitation.token)) is used.meeting
    with pytest.raises(ProtocolError, match="token-wrong"):  # nobody learns more who has no right
        meetings.find(hello(Secret("wrong")))
    assert [i.room for i in meetings.invitations()] == [empty.meeting.room.id, used.meeting.room.id]


def test_the_members_of_all_meetings_are_limited(make: Callable[..., Meetings]) -> None:
    meetings = make(max_members_of_all=3)
    one, other = meetings.open("One"), meetings.open("Other")
    for opened in (one, one, other):
        assert meetings.find(hello(opened.invitation.token)) is opened.meeting
        occupied(opened)
    assert meetings.members() == 3
    for opened in (one, other):
        with pytest.raises(ProtocolError, match="server-full"):
            meetings.find(hello(opened.invitation.token))
    back = hello(one.invitation.token, resume=Secret("key"))  # a place that is kept is no new one
    assert meetings.find(back) is one.meeting
