"""A server that is about to stop: meetings come to their end, and none begins."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_lite.drain import LOOK_S, Drain, Drainer, notice
from tests.server_lite.serving import KEY, hello, serving
from tests.support.virtual_time import VirtualTime

NOTICE_S = 60.0


def test_it_ends_with_the_time_or_with_the_last_member() -> None:
    drain = Drain(NOTICE_S)
    drain.begin(100, 1000)
    assert drain.look(5, 1000) == "wait"
    assert drain.look(0, 1000) == "over"
    assert [drain.look(5, now) for now in (1039, 1040, 1041, 1099.9, 1100)] == [
        "wait",
        "notice",
        "wait",
        "wait",
        "over",
    ]
    assert (drain.left(1030), drain.left(2000)) == (70, 0)


def test_an_end_that_is_moved_is_told_again() -> None:
    drain = Drain(NOTICE_S)
    drain.begin(30, 0)
    assert [drain.look(1, 0), drain.look(1, 1)] == ["notice", "wait"]
    drain.begin(300, 10)
    assert [drain.look(1, 30), drain.look(1, 250), drain.look(1, 309), drain.look(1, 310)] == [
        "wait",
        "notice",
        "wait",
        "over",
    ]


@given(st.floats(0, 1000), st.floats(0, 200), st.lists(st.floats(0, 50), max_size=60))
def test_nobody_is_sent_away_without_a_word_nor_too_soon(
    seconds: float, notice_s: float, steps: list[float]
) -> None:
    drain, now, told = Drain(notice_s), 0.0, 0
    drain.begin(seconds, now)
    for passed in steps:
        now += passed
        due = drain.look(3, now)
        told += due == "notice"
        assert told <= 1
        assert (due == "over") == (now >= seconds)
        assert due == "over" or told == (seconds - now <= notice_s)


@pytest.mark.parametrize(
    ("seconds", "time"),
    [(0.2, "a second"), (2, "2 seconds"), (60, "60 seconds"), (89, "89 seconds"), (600, "10 minutes")],
)
def test_the_notice_is_a_sentence(seconds: float, time: str) -> None:
    assert notice(seconds) == f"The meeting's server stops in {time}. Agree on where to go on."


class FakeMeetings:
    """People who leave one by one."""

    def __init__(self, members: int) -> None:
        self.there, self.draining = members, False
        self.told: list[tuple[str, str]] = []

    def members(self) -> int:
        return self.there

    def announce(self, code: str, sentence: str) -> None:
        self.told.append((code, sentence))


async def test_the_drainer_tells_once_and_ends_in_time(virtual_time: VirtualTime) -> None:
    meetings, over = FakeMeetings(3), list[float]()
    drainer = Drainer(cast(Any, meetings), NOTICE_S)
    drainer.when_over = lambda: over.append(virtual_time.now)
    began = virtual_time.now
    drainer.begin(300)
    assert meetings.draining
    await asyncio.sleep(239)
    assert meetings.told == []
    await asyncio.sleep(100)
    assert [code for code, _ in meetings.told] == ["draining"]
    assert [at - began for at in over] == [pytest.approx(300, abs=LOOK_S)]
    await drainer.close()


async def test_the_drainer_ends_when_everybody_has_left(virtual_time: VirtualTime) -> None:
    meetings, over = FakeMeetings(2), list[float]()
    drainer = Drainer(cast(Any, meetings), NOTICE_S)
    drainer.when_over = lambda: over.append(virtual_time.now)
    drainer.begin(3000)
    drainer.begin(4000)
    await asyncio.sleep(1000)
    meetings.there = 0
    left = virtual_time.now
    await asyncio.sleep(10)
    assert meetings.told == []
    assert over == [pytest.approx(left, abs=LOOK_S)]
    await drainer.close()


async def test_a_drain_that_is_given_up_leaves_nothing_behind(virtual_time: VirtualTime) -> None:
    drainer = Drainer(cast(Any, FakeMeetings(2)), NOTICE_S)
    await drainer.close()
    drainer.begin(10)
    await drainer.close()


async def test_the_owner_drains_over_http() -> None:
    async with serving() as served:
        used, empty = served.open(), served.open()
        async with served.member(used) as ann:
            answer = await served.request("POST", "/api/drain", KEY)
            assert answer.json()["seconds_left"] == 3600
            answer = await served.request("POST", "/api/drain", KEY, json={"seconds": 600})
            assert (answer.status_code, answer.json()) == (202, {"seconds_left": 600.0, "members": 1})
            answer = await served.request("GET", "/healthz")
            assert (answer.status_code, answer.json()["status"]) == (503, "draining")
            answer = await served.request("POST", "/api/rooms", KEY)
            assert (answer.status_code, answer.json()["code"]) == (503, "draining")
            async with served.line() as line:
                assert (await line.ask(hello(empty)))["code"] == "draining"
            async with served.member(used, "Ben"):  # the meeting goes on, and takes people in
                assert not served.server.should_exit
            assert (await served.request("POST", "/api/drain", KEY, json={"seconds": 30})).status_code == 202
            told = await ann.next("session.refused")
            assert told["code"] == "draining"
            assert "30 seconds" in told["sentence"]
            await served.request("POST", "/api/drain", KEY, json={"seconds": 0})
            assert (await ann.next("session.closing"))["code"] == "server-stopping"


async def test_an_empty_server_drains_at_once() -> None:
    async with serving(drain_s=600.0) as served:
        served.open()
        over, stop = asyncio.Event(), served.state.drainer.when_over
        served.state.drainer.when_over = over.set
        answer = await served.request("POST", "/api/drain", KEY)
        assert answer.json() == {"seconds_left": 600.0, "members": 0}
        await asyncio.wait_for(over.wait(), 10)
        stop()
        assert served.server.should_exit


@pytest.mark.parametrize(
    ("key", "body", "status", "code"),
    [
        ("wrong", b"{}", 403, "key-wrong"),
        (KEY, b'{"seconds": -1}', 400, "body-invalid"),
        (KEY, b'{"seconds": 1e9}', 400, "body-invalid"),
        (KEY, b'{"seconds": "soon"}', 400, "body-invalid"),
        (KEY, b"[]", 400, "body-invalid"),
        (KEY, b" " * 5000, 413, "body-too-large"),
    ],
)
async def test_a_drain_that_is_refused(key: str, body: bytes, status: int, code: str) -> None:
    async with serving() as served:
        answer = await served.request("POST", "/api/drain", key, content=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert not served.state.meetings.draining
