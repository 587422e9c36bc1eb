"""What is asked over HTTP, of a real server on loopback."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rtc.invitation import Invitation
from rtc.secret import Secret
from server_lite.http_api import MAX_BODY_BYTES
from server_lite.load import Sample
from tests.server_lite.serving import KEY, Served, serving
from tests.support.server_process import parse_metrics


def is_problem(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, "about:blank")
    assert body["title"].endswith(".")


async def test_health_and_version() -> None:
    async with serving() as served:
        answer = await served.request("GET", "/healthz")
        assert answer.status_code == 200
        body = answer.json()
        assert (body["status"], body["protocol"]) == ("ok", [1])
        assert re.fullmatch(r"\d+\.\d+\.\d+", body["version"])


async def test_the_owner_opens_a_room_and_guests_see_it() -> None:
    async with serving() as served:
        answer = await served.request("POST", "/api/rooms", KEY, json={"title": "  Our \n Monday  "})
        assert answer.status_code == 201
        room = answer.json()
        assert room["title"] == "Our Monday"
        invitation = Invitation.parse(room["link"])
        assert (invitation.host, invitation.port, invitation.room) == ("127.0.0.1", served.port, room["room"])
        assert invitation.token.reveal() == room["token"]
        assert Invitation.parse(room["code"]).token == invitation.token
        for path in (f"/api/rooms/{room['room']}", "/api/invitation"):
            seen = await served.request("GET", path, room["token"])
            assert seen.json() == {"room": room["room"], "title": "Our Monday", "members": 0}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"title": "   "}'])
async def test_a_room_without_a_title_gets_one(body: bytes) -> None:
    async with serving() as served:
        answer = await served.request("POST", "/api/rooms", KEY, content=body)
        assert answer.json()["title"] == "Meeting"


async def test_a_title_is_cut_to_what_can_be_shown() -> None:
    async with serving() as served:
        answer = await served.request("POST", "/api/rooms", KEY, json={"title": "x" * 400})
        assert answer.json()["title"] == "x" * 100


async def refuse_bodies(served: Served) -> None:
    for body in (b"[]", b"{", b'{"title": 5}', b'{"title": "' + b"x" * 501 + b'"}', b"\xff"):
        is_problem(await served.request("POST", "/api/rooms", KEY, content=body), 400, "body-invalid")
    large = b" " * (MAX_BODY_BYTES + 1)
    is_problem(await served.request("POST", "/api/rooms", KEY, content=large), 413, "body-too-large")


async def test_what_is_wrong_is_said_as_a_problem() -> None:
    async with serving() as served:
        room = served.open().meeting.room.id
        await refuse_bodies(served)
        for key in (None, "wrong", KEY + "x", "ä"):
            headers = {"Authorization": f"Bearer {key}".encode("latin-1")} if key is not None else {}
            is_problem(await served.request("POST", "/api/rooms", headers=headers), 403, "key-wrong")
            is_problem(await served.request("GET", f"/api/rooms/{room}", headers=headers), 404, "token-wrong")
        basic = {"Authorization": f"Basic {KEY}"}
        is_problem(await served.request("POST", "/api/rooms", headers=basic), 403, "key-wrong")
        long = {"Authorization": "Bearer " + "x" * 400}
        is_problem(await served.request("GET", "/api/invitation", headers=long), 400, "request-invalid")
        is_problem(await served.request("GET", "/nothing"), 404, "not-found")
        is_problem(await served.request("GET", "/web/../config.py"), 404, "not-found")
        is_problem(await served.request("DELETE", "/healthz"), 405, "method-not-allowed")
        assert len(list(served.state.meetings)) == 1


async def test_a_token_opens_its_own_room_alone() -> None:
    async with serving() as served:
        one, other = served.open(), served.open()
        token = one.invitation.token.reveal()
        is_problem(
            await served.request("GET", f"/api/rooms/{other.meeting.room.id}", token), 404, "token-wrong"
        )
        seen = await served.request("GET", "/api/invitation", token)
        assert seen.json()["room"] == one.meeting.room.id


async def test_a_full_server_says_so_and_empty_rooms_make_place() -> None:
    async with serving(max_rooms=2) as served:
        oldest, used = served.open(), served.open()
        async with served.member(used):
            answer = await served.request("POST", "/api/rooms", KEY)
            assert answer.status_code == 201
            is_problem(
                await served.request("GET", "/api/invitation", oldest.invitation.token.reveal()),
                404,
                "token-wrong",
            )
            newest = served.state.meetings.by_token(Secret(answer.json()["token"]))
            async with served.member(newest):
                is_problem(await served.request("POST", "/api/rooms", KEY), 503, "rooms-full")


async def test_members_are_counted() -> None:
    async with serving() as served:
        opened = served.open()
        async with served.member(opened, "Ann"), served.member(opened, "Ben"):
            seen = await served.request("GET", "/api/invitation", opened.invitation.token.reveal())
            assert seen.json()["members"] == 2
            samples = parse_metrics((await served.request("GET", "/metrics")).text)
            assert samples["hearth_members"] == 2
            assert samples["hearth_rooms"] == 1


async def test_metrics_are_prometheus_text() -> None:
    async with serving() as served:
        opened = served.open()
        opened.meeting.media.snapshot().counters.packets_in = 123_456_789_012
        await served.request("GET", "/api/invitation", "wrong")
        answer = await served.request("GET", "/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        for line in answer.text.splitlines():
            assert re.fullmatch(
                r"# (HELP|TYPE) hearth_\w+ .+|hearth_\w+(\{\w+=\"[\w-]+\"\})? [\d.e+]+", line
            ), line
        samples = parse_metrics(answer.text)
        assert samples["hearth_packets_in_total"] == 123_456_789_012
        assert samples['hearth_refusals_total{code="token-wrong"}'] == 1
        assert samples["hearth_decoders_opened_total"] == 0
        assert "hearth_datagrams_in_total" in samples


async def test_the_page_to_join_runs_nothing_from_elsewhere() -> None:
    async with serving() as served:
        room = served.open().meeting.room.id
        page = await served.request("GET", f"/join/{room}")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "server" not in page.headers
        linked = re.findall(r"(?:src|href)=\"([^\"#]+)\"", page.text)
        assert linked
        for path in linked:
            assert path.startswith("/web/"), f"{path} is not ours"
            assert (await served.request("GET", path)).status_code == 200


async def test_the_page_is_the_same_for_rooms_that_do_not_exist() -> None:
    """Else one could find out which rooms there are."""
    async with serving() as served:
        real = await served.request("GET", f"/join/{served.open().meeting.room.id}")
        made_up = await served.request("GET", "/join/made-up")
        assert (real.status_code, real.text) == (made_up.status_code, made_up.text)


async def test_the_load_is_among_the_metrics() -> None:
    async with serving() as served:
        served.state.load.measure(Sample(1234.4, 5e6, 12.3, 0.5), 1e9)
        served.state.load.step = 3
        served.open().meeting.media.snapshot().counters.member_pauses = 7
        samples = parse_metrics((await served.request("GET", "/metrics")).text)
        expected = {
            "load_packets_per_second": 1234,
            "load_bits_per_second": 5e6,
            "load_delay_seconds": 0.0123,
            "load_cores": 0.5,
            "load_step": 3,
            "load_sheds_total": 0,
            "load_recoveries_total": 0,
            "member_pauses_total": 7,
            "room_pauses_total": 0,
            "draining": 0,
        }
        assert {name: samples[f"hearth_{name}"] for name in expected} == expected
