"""Paths of members on a real server: what an offer begins, and that nothing of it stays when it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from rtc import transport
from rtc.sdp import MediaSection, SessionDescription, TransportParameters
from rtc.udp_mux import UdpMux
from server_lite.media_host import LocalHost
from server_lite.media_room import MediaRoom
from server_lite.meetings import Opened
from server_lite.router import Router
from tests.server_lite.serving import Line, Served, serving
from tests.support.wire_member import OPUS, VP8, RefusedError, WireMember

PATIENCE = 10.0
FINGERPRINT = ":".join(["A1"] * 32)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - sockets set no events
            await asyncio.sleep(0.01)


def offer(ufrag: str = "abcd", *sections: MediaSection, **changes: Any) -> dict[str, Any]:
    """An offer whose path nobody will connect."""
    parameters = TransportParameters(ufrag, "p" * 24, ("sha-256", FINGERPRINT), "actpass")
    listed = list(sections) or [MediaSection("audio", "0", "sendonly", [OPUS])]
    return {
        "type": "media.offer",
        "id": 5,
        "sdp": str(SessionDescription(parameters, listed)),
        "send": [{"mid": "0", "source": "microphone"}],
    } | changes


def paths(served: Served) -> int:
    return len(mux(served)._by_ufrag)


def mux(served: Served) -> UdpMux:
    assert isinstance(served.state.host, LocalHost)
    return served.state.host.port.mux


def router(opened: Opened) -> Router:
    assert isinstance(opened.meeting.media, MediaRoom)
    return opened.meeting.media.router


async def producers_told(line: Line, member: str) -> list[str]:
    """The sources of `member` as a newcomer would be told."""
    return [p["source"] for m in line.welcome["members"] if m["id"] == member for p in m["producers"]]


async def test_sound_goes_from_one_to_the_other() -> None:
    async with serving() as served:
        opened = served.open()
        link = opened.invitation.link
        async with WireMember(link, "Ann") as ann, WireMember(link, "Ben") as ben:
            answer = await ann.send_and_receive([])
            await ben.send_and_receive([answer["producers"]["0"]])
            await until(lambda: router(opened).wants(ben.welcome["member"]))
            for _ in range(20):
                ann.speak()
            await until(lambda: sum(ben.rtp_received.values()) == 20)
            assert not ann.rtp_received
            dump = opened.meeting.dump()
            assert len(dump["members"]) == 2  # type: ignore[arg-type]
            assert paths(served) == 2
            assert served.state.tally.decoders_opened == 0
        await until(lambda: paths(served) == 0)


async def test_a_path_that_its_member_closes_is_freed() -> None:
    async with serving() as served:
        opened = served.open()
        async with WireMember(opened.invitation.link, "Ann") as ann:
            await ann.send_and_receive([])
            assert paths(served) == 1
            assert ann.transport is not None
            await ann.transport.close()
            await until(lambda: paths(served) == 0)
            answer = await ann.send_and_receive([])
            assert answer["producers"].keys() == {"0"}
            before = router(opened).counters.packets_in
            ann.speak()
            await until(lambda: router(opened).counters.packets_in > before)


async def test_what_could_not_be_decrypted_stays_counted_over_a_new_path() -> None:
    async with serving() as served:
        opened = served.open()
        async with WireMember(opened.invitation.link, "Ann") as ann:
            await ann.send_and_receive([])
            ann.send_raw(b"\x80\x6f" + bytes(40))
            await until(lambda: mux(served).dropped["srtp"] == 1)
            first = ann.transport
            await ann.send_and_receive([])
            assert first is not None
            await first.close()
            assert mux(served).dropped["srtp"] == 1
        assert mux(served).dropped["srtp"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sdp": "v=0"}, "sdp-malformed"),
        ({"send": [{"mid": "9", "source": "camera"}]}, "sdp-mismatch"),
        ({"send": [{"mid": "0", "source": "camera"}]}, "sdp-mismatch"),
        ({"send": [{"mid": "0", "source": "microphone"}] * 2}, "sdp-mismatch"),
        ({"receive": [{"mid": "0", "producer": None}]}, "sdp-mismatch"),
    ],
)
async def test_an_offer_that_is_refused_leaves_no_path(changes: dict[str, Any], code: str) -> None:
    async with serving() as served, served.member(served.open()) as ann:
        for _ in range(3):
            refused = await ann.ask(offer(**changes))
            assert (refused["code"], refused["re"]) == (code, 5)
        await until(lambda: paths(served) == 0)


async def test_many_paths_offered_leave_one() -> None:
    async with serving() as served:
        opened = served.open()
        async with served.member(opened) as ann:
            for number in range(30):
                answer = await ann.ask(offer(f"ufrag{number}"), "media.answer")
            assert answer["producers"].keys() == {"0"}
            await until(lambda: paths(served) == 1)
            await ann.say({"type": "session.leave"})
            await until(lambda: paths(served) == 0)


async def test_the_same_path_again_after_it_did_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.1)
    async with serving() as served, served.member(served.open()) as ann:
        first = await ann.ask(offer(), "media.answer")
        await until(lambda: paths(served) == 0)
        again = await ann.ask(offer(), "media.answer")
        assert _ufrag(first) != _ufrag(again)
        assert again["producers"] == first["producers"]


async def test_another_offer_on_the_same_path_keeps_it() -> None:
    async with serving() as served, served.member(served.open()) as ann:
        first = await ann.ask(offer(), "media.answer")
        again = await ann.ask(offer(), "media.answer")
        assert _ufrag(first) == _ufrag(again)
        assert again["producers"] == first["producers"]


def _ufrag(answer: dict[str, Any]) -> str:
    found = re.search(r"a=ice-ufrag:(\S+)", answer["sdp"])
    assert found is not None
    return found[1]


async def test_a_section_that_was_refused_is_no_source() -> None:
    """Else everybody would wait for a picture that never comes."""
    rejected = MediaSection("video", "1", "inactive", [VP8], rejected=True)
    sound = MediaSection("audio", "0", "sendonly", [OPUS])
    both = [{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}]
    async with serving() as served:
        opened = served.open()
        async with served.member(opened, "Ann") as ann:
            answer = await ann.ask(offer("abcd", sound, rejected, send=both), "media.answer")
            assert answer["producers"].keys() == {"0"}
            async with served.member(opened, "Ben") as ben:
                assert await producers_told(ben, ann.welcome["member"]) == ["microphone"]


async def test_a_source_moves_to_another_section_with_its_stream() -> None:
    camera = MediaSection("video", "1", "sendonly", [VP8], ssrcs=[77])
    moved = MediaSection("video", "2", "sendonly", [VP8], ssrcs=[77])
    async with serving() as served:
        opened = served.open()
        async with served.member(opened) as ann:
            here, there = ([{"mid": mid, "source": "camera"}] for mid in ("1", "2"))
            before = await ann.ask(offer("abcd", camera, send=here), "media.answer")
            after = await ann.ask(offer("abcd", moved, send=there), "media.answer")
            assert set(before["producers"].values()).isdisjoint(after["producers"].values())
            media = router(opened)
            assert set(media.producers) == set(after["producers"].values())
            path = media.paths[ann.welcome["member"]]
            assert path.layers[77].producer.id == after["producers"]["2"]


async def test_selecting_needs_a_section() -> None:
    async with serving() as served, served.member(served.open()) as ann:
        receiving = MediaSection("audio", "0", "recvonly", [OPUS])
        await ann.ask(
            offer("abcd", receiving, send=[], receive=[{"mid": "0", "producer": None}]), "media.answer"
        )
        known = {"type": "media.select", "id": 6, "receive": [{"mid": "0", "producer": "p-gone"}]}
        assert (await ann.ask(known))["type"] == "media.selected"
        unknown = known | {"receive": [{"mid": "0", "producer": None}, {"mid": "7", "producer": None}]}
        refused = await ann.ask(unknown)
        assert (refused["code"], refused["re"]) == ("section-unknown", 6)


async def test_the_signalling_may_come_back_while_media_goes_on() -> None:
    async with serving() as served:
        opened = served.open()
        link = opened.invitation.link
        async with WireMember(link, "Ann") as ann, WireMember(link, "Ben") as ben:
            answer = await ann.send_and_receive([])
            await ben.send_and_receive([answer["producers"]["0"]])
            await until(lambda: router(opened).wants(ben.welcome["member"]))
            await ann.socket.close()
            await until(lambda: opened.meeting.connected_members() == 1)
            for _ in range(10):
                ann.speak()
            await until(lambda: sum(ben.rtp_received.values()) == 10)
            async with served.line() as again:
                await again.join(opened, "Ann", resume=ann.welcome["resume"], microphone=False)
                for _ in range(10):
                    ann.speak()
                await until(lambda: router(opened).counters.muted == 10)
                assert sum(ben.rtp_received.values()) == 10


async def test_a_wire_member_is_told_of_its_refusals() -> None:
    async with serving() as served, WireMember(served.open().invitation.link, "Ann") as ann:
        with pytest.raises(RefusedError):
            await ann.request({"type": "media.select", "receive": [{"mid": "0", "producer": None}]})
