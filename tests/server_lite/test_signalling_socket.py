"""The control connection, over a real WebSocket to a real server on loopback."""

from __future__ import annotations

import asyncio
import time

from starlette.websockets import WebSocketState

from rtc.signalling import media
from server_lite.config import Settings
from server_lite.media_host import LocalHost
from server_lite.media_room import MediaRoom
from server_lite.metrics import Tally
from server_lite.signalling import MAX_REFUSALS, SignallingConnection
from tests.server_lite.serving import hello, serving
from tests.support.virtual_time import VirtualTime

MUTE = {"type": "media.mute", "id": 8, "source": "camera", "muted": True}


async def test_joining_and_hearing_of_each_other() -> None:
    async with serving() as served:
        opened = served.open("Monday")
        async with served.member(opened, " Ann ") as ann:
            assert ann.welcome["re"] == 1
            assert ann.welcome["title"] == "Monday"
            assert ann.welcome["protocol"] == 1
            assert ann.welcome["invitation"]["link"] == opened.invitation.link
            assert [m["name"] for m in ann.welcome["members"]] == ["Ann"]
            async with served.member(opened, "Ben", camera=False) as ben:
                joined = await ann.next("session.joined")
                assert joined["member"]["name"] == "Ben"
                assert joined["member"]["camera"] is False
                assert [m["name"] for m in ben.welcome["members"]] == ["Ann", "Ben"]
                assert (await ben.ask(MUTE | {"muted": False}, "media.muted"))["re"] == 8
                changed = await ann.next("session.changed")
                assert changed["member"]["camera"] is True
                await ben.say({"type": "session.leave"})
                closing = await ben.next("session.closing")
                assert closing["code"] == "left"
                assert await ben.end() == 1000
            left = await ann.next("session.left")
            assert left == {"type": "session.left", "member": ben.welcome["member"], "reason": "left"}


async def test_a_lost_member_comes_back_to_its_place() -> None:
    async with serving() as served:
        opened = served.open()
        async with served.member(opened, "Ann") as ann:
            async with served.member(opened, "Ben") as ben:
                pass
            assert (await ann.next("session.changed"))["member"]["connected"] is False
            async with served.line() as again:
                welcome = await again.join(opened, "Whoever", resume=ben.welcome["resume"])
                assert welcome["member"] == ben.welcome["member"]
                assert (await ann.next("session.changed"))["member"] == {
                    "id": welcome["member"],
                    "name": "Ben",
                    "microphone": True,
                    "camera": True,
                    "connected": True,
                    "producers": [],
                }


async def test_a_lost_member_is_gone_after_a_while() -> None:
    async with serving(lost_grace_s=0.2) as served:
        opened = served.open()
        async with served.member(opened, "Ann") as ann:
            async with served.member(opened, "Ben") as ben:
                pass
            assert (await ann.next("session.left"))["reason"] == "lost"
            async with served.line() as again:
                refused = await again.ask(hello(opened, resume=ben.welcome["resume"]))
                assert refused["code"] == "resume-expired"
                # On the same connection, as somebody new.
                assert (await again.join(opened, "Ben"))["member"] != ben.welcome["member"]


async def test_a_place_taken_again_closes_the_old_connection() -> None:
    async with serving() as served:
        opened = served.open()
        async with served.member(opened, "Ann") as old, served.line() as new:
            await new.join(opened, "Ann", resume=old.welcome["resume"])
            assert (await old.next("session.closing"))["code"] == "replaced"
            assert await old.end() == 1000
            assert (await new.ask(MUTE, "media.muted"))["re"] == 8
            assert opened.meeting.connected_members() == 1


async def test_a_hello_may_be_corrected() -> None:
    async with serving() as served:
        opened = served.open()
        async with served.line() as line:
            for wrong, code in (
                (hello(opened, name=""), "name-empty"),
                (hello(opened, token="wrong"), "token-wrong"),
                (hello(opened, protocol=[99]), "protocol-mismatch"),
                (MUTE, "hello-first"),
                ("{", "message-malformed"),
                (b"\x00", "message-not-text"),
            ):
                assert (await line.ask(wrong))["code"] == code
            await line.join(opened)


async def test_who_says_nothing_is_sent_away() -> None:
    async with serving(hello_timeout_s=0.1) as served, served.line() as line:
        began = time.monotonic()
        assert (await line.next())["code"] == "hello-timeout"
        assert await line.end() == 1000
        assert time.monotonic() - began < 5.0


async def test_wrong_tries_do_not_prolong_the_time_for_a_hello() -> None:
    async with serving(hello_timeout_s=0.3) as served, served.line() as line:
        for _ in range(5):
            await line.say({"type": "session.leave"})
            await asyncio.sleep(0.02)
        assert (await line.next("session.closing"))["code"] == "hello-timeout"


async def test_the_hello_timeout_does_not_reach_members() -> None:
    async with serving(hello_timeout_s=0.1) as served:
        opened = served.open()
        async with served.member(opened) as ann:
            await asyncio.sleep(0.3)
            assert (await ann.ask(MUTE, "media.muted"))["re"] == 8


async def test_a_flood_is_refused_and_then_taken_again() -> None:
    async with serving(message_rate=50.0, message_burst=10.0) as served:
        opened = served.open()
        async with served.member(opened) as ann:
            for _ in range(30):
                await ann.say(MUTE)
            codes = [(await ann.next()).get("code") for _ in range(31)]  # one of them is session.changed
            assert 5 <= codes.count("too-many-messages") <= 21
            await asyncio.sleep(0.1)
            assert (await ann.ask(MUTE, "media.muted"))["re"] == 8


async def test_who_is_always_wrong_is_cut_off() -> None:
    async with serving() as served, served.line() as line:
        for _ in range(MAX_REFUSALS):
            await line.say("{")
        assert (await line.next("session.closing"))["code"] == "too-many-errors"
        assert await line.end() == 1008
        assert served.state.tally.refusals["message-malformed"] == MAX_REFUSALS


async def test_a_message_is_refused_beyond_its_size_and_cut_beyond_reason() -> None:
    async with serving() as served:
        opened = served.open()
        async with served.member(opened) as ann:
            assert (await ann.ask("x" * 65537))["code"] == "message-too-large"
            assert (await ann.ask(MUTE, "media.muted"))["re"] == 8
            await ann.say("x" * (300 * 1024))
            assert await ann.end() == 1009


async def test_everybody_is_told_that_the_server_stops() -> None:
    async with serving() as served:
        opened = served.open()
        async with served.member(opened) as ann:
            served.server.should_exit = True
            assert (await ann.next("session.closing"))["code"] == "server-stopping"
            assert await ann.end() == 1000


async def test_a_room_holds_no_more_than_it_may() -> None:
    async with serving(max_members=1) as served:
        opened = served.open()
        async with served.member(opened, "Ann"), served.line() as late:
            assert (await late.ask(hello(opened, "Ben")))["code"] == "room-full"


async def test_connections_end_without_a_trace() -> None:
    async with serving(lost_grace_s=0.05) as served:
        opened = served.open()
        for _ in range(5):
            async with served.member(opened):
                pass
            async with served.line():
                pass
        async with asyncio.timeout(10):
            while len(opened.meeting.room):  # noqa: ASYNC110 - the server's own clock decides
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
        inside, carried, host = opened.meeting, opened.meeting.media, served.state.host
        assert not inside._connections
        assert inside._timer is None
        assert isinstance(carried, MediaRoom)
        assert isinstance(host, LocalHost)
        assert not carried._peers
        assert not carried._closing
        assert host.port.mux._by_ufrag == {}


class StuckSocket:
    """A WebSocket whose peer never reads, and says nothing."""

    application_state = WebSocketState.CONNECTED

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send_text(self, text: str) -> None:
        self.sent.append(text)
        await asyncio.Event().wait()

    async def close(self, code: int) -> None:
        raise AssertionError("the goodbye would wait behind what is not read")


async def test_who_does_not_read_is_cut_off(virtual_time: VirtualTime) -> None:
    tally = Tally()
    settings = Settings(max_send_queue=8)
    connection = SignallingConnection(StuckSocket(), None, settings, tally)  # type: ignore[arg-type]
    running = asyncio.create_task(connection.run())
    await asyncio.sleep(0.01)
    for _ in range(20):
        connection.tell(media.Speaker(member=None))
    await asyncio.wait_for(running, 5.0)
    assert tally.slow_readers == 1


async def test_a_goodbye_to_one_who_does_not_read_takes_no_long_time(virtual_time: VirtualTime) -> None:
    socket = StuckSocket()
    connection = SignallingConnection(socket, None, Settings(), Tally())  # type: ignore[arg-type]
    running = asyncio.create_task(connection.run())
    await asyncio.sleep(0.01)
    connection.tell(media.Speaker(member=None))
    connection.close("server-stopping", "The meeting's server is stopping.")
    connection.close("server-stopping", "Twice is no error.")
    connection.tell(media.Speaker(member=None))
    before = asyncio.get_running_loop().time()
    await running
    assert asyncio.get_running_loop().time() - before < 3.0
    assert len(socket.sent) == 1
