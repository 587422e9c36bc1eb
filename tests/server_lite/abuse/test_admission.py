"""Who is not let in, and how they are told."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.server_lite.abuse.conftest import Stranger
from tests.support.server_process import Meeting, ServerProcess


@pytest.fixture
def another(server: ServerProcess, meeting: Meeting) -> Iterator[Callable[[], Stranger]]:
    """Makes further connections to the same room."""
    made: list[Stranger] = []

    def make() -> Stranger:
        made.append(Stranger(server, meeting))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("token", ["", "x", "0" * 16, "\u0000", "' OR 1=1 --", "ä" * 50, "A" * 200])
def test_a_wrong_token(stranger: Stranger, token: str) -> None:
    code, re = stranger.refusal(stranger.hello(token=token))
    assert (code, re) == ("token-wrong", 1)


def test_a_token_longer_than_any(stranger: Stranger) -> None:
    assert stranger.refusal(stranger.hello(token="A" * 20_000)) == ("message-invalid", 1)


def test_a_token_of_another_room(server: ServerProcess, stranger: Stranger) -> None:
    other = server.open_meeting("Not yours")
    assert stranger.refusal(stranger.hello(room=other.room)) == ("token-wrong", 1)
    assert stranger.refusal(stranger.hello(token=other.token)) == ("token-wrong", 1)
    # The right pair is let in: it was the pairing that was refused.
    assert stranger.join(token=other.token, room=other.room)["room"] == other.room


def test_a_room_that_does_not_exist_sounds_like_a_wrong_token(stranger: Stranger) -> None:
    """Else one could find out which rooms there are."""
    assert stranger.refusal(stranger.hello(room="nosuchroom")) == ("token-wrong", 1)


def test_guessing_is_cut_off(stranger: Stranger) -> None:
    stranger.repeat_until_cut_off(stranger.hello(token="guess"), most=200)


def test_the_key_of_a_member_who_left(stranger: Stranger, another: Callable[[], Stranger]) -> None:
    resume = stranger.join()["resume"]
    stranger.say({"type": "session.leave"})
    stranger.next("session.closing")
    late = another()
    assert late.refusal(late.hello(resume=resume)) == ("resume-expired", 1)
    assert late.join()["type"] == "session.welcome"


def test_a_key_that_never_was(stranger: Stranger) -> None:
    assert stranger.refusal(stranger.hello(resume="made-up")) == ("resume-expired", 1)


def test_a_key_does_not_replace_the_token(stranger: Stranger, another: Callable[[], Stranger]) -> None:
    resume = stranger.join()["resume"]
    thief = another()
    assert thief.refusal(thief.hello(token="wrong", resume=resume)) == ("token-wrong", 1)


def test_a_key_of_another_room(server: ServerProcess, stranger: Stranger) -> None:
    resume = stranger.join()["resume"]
    elsewhere = Stranger(server, server.open_meeting("Elsewhere"))
    try:
        assert elsewhere.refusal(elsewhere.hello(resume=resume)) == ("resume-expired", 1)
    finally:
        elsewhere.close()


def test_a_place_taken_up_elsewhere_closes_the_old_connection(
    stranger: Stranger, another: Callable[[], Stranger]
) -> None:
    first = stranger.join()
    second = another()
    assert second.join(resume=first["resume"])["member"] == first["member"]
    assert stranger.next("session.closing")["code"] == "replaced"


@pytest.mark.parametrize("versions", [[0], [2], [99, 1000], [2**31 - 1]])
def test_versions_that_do_not_fit(stranger: Stranger, versions: list[int]) -> None:
    assert stranger.refusal(stranger.hello(protocol=versions)) == ("protocol-mismatch", 1)


@pytest.mark.parametrize("versions", [[], [1] * 17, ["1"], [1.0], [-1], None, 1])
def test_versions_that_are_none(stranger: Stranger, versions: object) -> None:
    assert stranger.refusal(stranger.hello(protocol=versions)) == ("message-invalid", 1)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name-empty"),
        (" \t\n ", "name-empty"),
        ("\u200d", "name-empty"),
        ("\u202e\u200b", "name-empty"),
        ("n" * 65, "name-too-long"),
        ("\U0001f600" * 65, "name-too-long"),
        ("Bob\u0007", "name-invalid"),
        ("\u001b[31mBob", "name-invalid"),
        ("Bob\u0000", "name-invalid"),
        ("n" * 1001, "message-invalid"),
        (7, "message-invalid"),
    ],
)
def test_names_that_are_none(stranger: Stranger, name: object, code: str) -> None:
    assert stranger.refusal(stranger.hello(name=name)) == (code, 1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("n" * 64, "n" * 64),
        ("  Ann   Lee ", "Ann Lee"),
        ("\u202eBob", "Bob"),
        ("<b>Bob</b>", "<b>Bob</b>"),
    ],
)
def test_names_at_the_edge(stranger: Stranger, name: str, shown: str) -> None:
    welcome = stranger.join(name=name)
    assert next(m["name"] for m in welcome["members"] if m["id"] == welcome["member"]) == shown


@pytest.mark.parametrize("key", [None, "", "wrong", "ä"])
def test_rooms_are_opened_by_the_owner_alone(server: ServerProcess, key: str | None) -> None:
    if key == "ä":
        key = key.encode().decode("latin-1")
    status, answer = server.request("/api/rooms", {"title": "Mine"}, key)
    assert status in (401, 403)
    assert answer["code"]
    assert answer["title"].endswith(".")


def test_a_room_is_told_about_to_its_guests_alone(server: ServerProcess, meeting: Meeting) -> None:
    for room, token in ((meeting.room, "wrong"), ("nosuchroom", meeting.token)):
        status, answer = server.request(f"/api/rooms/{room}", key=token)
        assert status in (401, 403, 404)
        assert answer["title"].endswith(".")
    status, answer = server.request(f"/api/rooms/{meeting.room}", key=meeting.token)
    assert (status, answer["title"]) == (200, "Abused")
    assert "token" not in answer


@pytest.mark.parametrize(
    "path",
    [
        "/web/../config.py",
        "/web/..%2fconfig.py",
        "/web/%2e%2e/config.py",
        "/web//etc/passwd",
        "/join/../../etc",
    ],
)
def test_the_guest_page_serves_nothing_but_itself(server: ServerProcess, path: str) -> None:
    status, text = server.request(path)
    assert status in (400, 404, 405)
    assert "Settings" not in str(text)


def test_the_page_may_load_and_run_nothing_from_elsewhere(server: ServerProcess, meeting: Meeting) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/join/{meeting.room}", timeout=10) as page:
        policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
