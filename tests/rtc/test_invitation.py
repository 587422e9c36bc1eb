"""Invitations as links and codes: what is made can be read, and what is mistyped is noticed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.invitation import MISTYPED, NOT_AN_INVITATION, Invitation, InvitationError, new_token
from rtc.secret import Secret

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ports = st.integers(1, 65535)
fresh_tokens = st.text(ALPHABET, min_size=16, max_size=16).map(Secret)  # 80 bits
tokens = fresh_tokens | st.from_regex(r"[A-Za-z0-9_-]{1,100}", fullmatch=True).map(Secret)
rooms = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", fullmatch=True)
hosts = (
    st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(str)
    | st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,6})?", fullmatch=True)
)
example = Invitation("192.0.2.7", 8443, Secret("0123456789ABCDEF"), "k7m2nqrx4p")


@given(hosts, ports, tokens, st.none() | rooms, st.booleans())
def test_a_link_can_be_read(host: str, port: int, token: Secret, room: str | None, secure: bool) -> None:
    invitation = Invitation(host, port, token, room, secure)
    assert Invitation.parse(f"  {invitation.link}\n") == invitation


@given(st.ip_addresses(v=4).map(str), ports, fresh_tokens)
def test_a_code_can_be_read(host: str, port: int, token: Secret) -> None:
    invitation = Invitation(host, port, token, "k7m2nqrx4p")
    assert Invitation.parse(invitation.code) == Invitation(host, port, token)


@given(fresh_tokens, st.data())
def test_a_code_survives_being_read_out(token: Secret, data: st.DataObject) -> None:
    """Any case, any grouping, and the letters that look alike."""
    code = Invitation("10.1.2.3", 9000, token).code.replace("-", "")
    spoken = "".join(
        data.draw(st.sampled_from({"0": "0Oo", "1": "1IiLl"}.get(letter, letter + letter.lower())))
        + data.draw(st.sampled_from(["", "", "", "-", " ", "–", "\t"]))
        for letter in code
    )
    assert Invitation.parse(spoken).token == token


@given(fresh_tokens, st.integers(0, 31), st.sampled_from(ALPHABET + "U"))
def test_one_wrong_letter_is_noticed(token: Secret, place: int, letter: str) -> None:
    code = Invitation("10.1.2.3", 9000, token).code.replace("-", "")
    wrong = code[:place] + letter + code[place + 1 :]
    if wrong == code:
        return
    with pytest.raises(InvitationError) as refused:
        Invitation.parse(wrong)
    assert str(refused.value) == MISTYPED


@given(fresh_tokens, st.integers(0, 30))
def test_two_letters_in_the_wrong_order_are_noticed(token: Secret, place: int) -> None:
    code = Invitation("10.1.2.3", 9000, token).code.replace("-", "")
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    if swapped != code:
        with pytest.raises(InvitationError):
            Invitation.parse(swapped)


def outcome(text: str) -> Invitation | str:
    """The invitation, or the sentence that a person is told."""
    try:
        return Invitation.parse(text)
    except InvitationError as error:
        return str(error)


@given(st.text(max_size=600))
def test_any_text_is_an_invitation_or_a_sentence(text: str) -> None:
    said = outcome(text)
    assert said.endswith(".") if isinstance(said, str) else 1 <= said.port <= 65535


@given(
    st.sampled_from(["http://", "https://", "ws://", "://", ""]), st.text(max_size=40), st.text(max_size=20)
)
def test_any_link_is_an_invitation_or_a_sentence(scheme: str, host: str, rest: str) -> None:
    said = outcome(f"{scheme}{host}/join/{rest}#token")
    assert said.endswith(".") if isinstance(said, str) else said.host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "0000-0000",
        "x" * 501,
        "http://192.0.2.7:8443/#token",
        "http://192.0.2.7:8443/elsewhere/room#token",
        "http://192.0.2.7:8443/join/#token",
        "http://192.0.2.7:8443/join/ro om#token",
        "http://192.0.2.7:70000/join/room#token",
        "http://192.0.2.7:0/join/room#token",
        "http:///join/room#token",
        "http://[::1/join/room#token",
        "http://[::zz]:1/join/room#token",
        "http://a b/join/room#token",
        "ftp://192.0.2.7/join/room#token",
        "javascript://192.0.2.7/join/room#token",
    ],
)
def test_what_is_no_invitation(text: str) -> None:
    with pytest.raises(InvitationError) as refused:
        Invitation.parse(text)
    assert str(refused.value) == NOT_AN_INVITATION


@pytest.mark.parametrize("end", ["", "#", "#a b", "#" + "a" * 101])
def test_a_link_without_its_end_is_told_apart(end: str) -> None:
    with pytest.raises(InvitationError, match="after the #"):
        Invitation.parse("http://192.0.2.7:8443/join/room" + end)


def test_a_link_without_a_scheme_or_port() -> None:
    assert Invitation.parse("192.0.2.7:8443/join/k7m2nqrx4p#0123456789ABCDEF") == example
    assert Invitation.parse("http://meet.local/join/r#t").port == 80
    assert Invitation.parse("https://meet.local/join/r#t").port == 443
    assert Invitation.parse("https://meet.local/join/r#t").secure


def test_addresses_of_the_server() -> None:
    assert example.http_url == "http://192.0.2.7:8443"
    assert example.ws_url == "ws://192.0.2.7:8443/ws"
    assert example.link == "http://192.0.2.7:8443/join/k7m2nqrx4p#0123456789ABCDEF"
    secure = Invitation("2001:db8::1", 443, Secret("t"), "r", secure=True)
    assert secure.ws_url == "wss://[2001:db8::1]:443/ws"


@pytest.mark.parametrize(
    "invitation",
    [
        Invitation("meet.local", 8443, Secret("0123456789ABCDEF")),
        Invitation("2001:db8::1", 8443, Secret("0123456789ABCDEF")),
        Invitation("192.0.2.7", 8443, Secret("short")),
        Invitation("192.0.2.7", 8443, Secret("not_base32-at_all")),
        Invitation("192.0.2.7", 8443, Secret("0123456789ABCDEF"), secure=True),
    ],
)
def test_what_does_not_fit_has_no_code(invitation: Invitation) -> None:
    assert invitation.code == ""


def test_a_code_is_short_and_in_groups() -> None:
    assert len(example.code.split("-")) == 8
    assert set(example.code) <= set(ALPHABET + "-")
    assert ipaddress.ip_address(Invitation.parse(example.code).host) == ipaddress.ip_address(example.host)


def test_the_token_is_not_printed() -> None:
    assert "0123456789ABCDEF" not in repr(example)
    assert len({new_token() for _ in range(100)}) == 100
