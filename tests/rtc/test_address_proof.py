"""A peer is where it answers from: what an overheard check can do, and what it cannot. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rtc import checks
from rtc.address_proof import ANSWER_S, MAX_ASKED
from rtc.mux_link import CHECK_BURST, MuxLink
from rtc.socket_address import Address, pack_address
from rtc.udp_mux import CONSENT_S
from tests.rtc.checking import PLANES, answer, binding, noting
from tests.rtc.test_udp_mux import AWAY, HOME, OTHER, Port, at
from tests.rtc.transport_pair import packet

UFRAG, PASSWORD = "peer", "p" * 22


@pytest.fixture(params=PLANES)
def port(request: pytest.FixtureRequest) -> Port:
    return Port(request.param)


def link_of(port: Port) -> MuxLink:
    """Of a peer whose credentials are known."""
    link = port.mux.link()
    link.remote = UFRAG, PASSWORD
    return link


def question(port: Port, address: Address) -> bytes:
    """What was sent there last, which must be the only thing."""
    ((data, where),) = port.sent()
    assert where == address
    return data


def settle(port: Port, link: MuxLink, address: Address = HOME, *, nominate: bool = True) -> None:
    """The peer checks, and answers, from there."""
    port.check(link, address, nominate=nominate)
    port.put(answer(question(port, address), PASSWORD), address)
    said = stun.parse_message(question(port, address))
    assert said.message_class == stun.Class.RESPONSE
    assert said.transaction_id == b"t" * 12
    assert said.check_message_integrity(link.password.encode())


def test_an_address_is_asked_before_it_counts(port: Port) -> None:
    link = link_of(port)
    port.check(link)
    assert (at(link), link.state, port.mux._by_address) == (None, "checking", {})
    asked = question(port, HOME)
    request = stun.parse_message(asked)
    assert request.attributes["USERNAME"] == f"{UFRAG}:{link.ufrag}"
    assert {"PRIORITY", "ICE-CONTROLLED", "FINGERPRINT"} <= set(request.attributes)
    assert "USE-CANDIDATE" not in request.attributes  # the controlling end decides
    port.put(answer(asked, PASSWORD))
    assert (at(link), link.state) == (HOME, "completed")
    assert stun.parse_message(question(port, HOME)).attributes["XOR-MAPPED-ADDRESS"] == HOME
    port.check(link)  # from now on it is answered at once
    assert stun.parse_message(question(port, HOME)).message_class == stun.Class.RESPONSE
    assert port.reasons() == {}


def test_an_overheard_check_moves_nothing(port: Port) -> None:
    """Recorded on the way and sent again, as it was, from elsewhere; also when the peer's own is lost."""
    link = link_of(port)
    settle(port, link)
    for _ in range(20):
        port.check(link, AWAY)
        asked = question(port, AWAY)
        for password in (link.password, "x" * 22):  # all that the recording, or a guess, gives away
            port.put(checks.success(checks.Check(checks.transaction(asked), False), HOME, password), AWAY)
        port.put(asked, AWAY)
        assert port.sent() == []
    assert at(link) == HOME
    assert list(link.addresses) == [pack_address(*HOME)]
    got: list[int] = []
    link.media_sink = noting(got)
    end = port.media(link)
    sealed = end.seal(packet(1))
    port.put(sealed, AWAY)
    assert (got, port.reasons()["unknown-address"]) == ([], 1)
    port.put(sealed)
    port.put(sealed)
    assert (got, port.reasons()["srtp"]) == ([1], 1)
    port.send(link, b"media")
    assert (b"media", HOME) in port.sent()


def test_the_answer_must_come_from_where_it_was_asked(port: Port) -> None:
    link = link_of(port)
    settle(port, link)
    port.check(link, AWAY)
    asked = question(port, AWAY)
    port.put(answer(asked, PASSWORD), OTHER)
    assert (at(link), port.reasons()) == (HOME, {"stun-not-authorised": 1})
    port.put(answer(asked, PASSWORD), AWAY)
    assert at(link) == AWAY


def test_an_answer_counts_once_and_not_for_ever(port: Port) -> None:
    link = link_of(port)
    port.check(link)
    asked = question(port, HOME)
    port.now += ANSWER_S + 0.1
    port.put(answer(asked, PASSWORD))
    assert (at(link), port.reasons()) == (None, {"stun-not-authorised": 1})
    port.check(link)
    again = question(port, HOME)
    assert stun.parse_message(again).transaction_id != stun.parse_message(asked).transaction_id
    port.put(answer(again, PASSWORD))
    assert at(link) == HOME
    port.put(answer(again, PASSWORD))
    assert port.reasons()["stun-not-a-check"] == 1


def test_a_question_is_repeated_and_the_latest_check_is_answered(port: Port) -> None:
    link = link_of(port)
    port.check(link, nominate=False)
    first = question(port, HOME)
    latest = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=b"2" * 12)
    latest.attributes["USERNAME"] = f"{link.ufrag}:me"
    latest.add_message_integrity(link.password.encode())
    port.put(bytes(latest))
    assert question(port, HOME) == first
    port.put(answer(first, PASSWORD))
    assert stun.parse_message(question(port, HOME)).transaction_id == b"2" * 12
    assert len(port.mux._proofs) == 0


def test_a_move_that_is_proven_is_carried_out_if_it_was_nominated(port: Port) -> None:
    link = link_of(port)
    settle(port, link)
    settle(port, link, AWAY, nominate=False)
    assert at(link) == HOME
    settle(port, link, OTHER)
    assert at(link) == OTHER
    port.check(link, AWAY)  # known: at once
    assert at(link) == AWAY


def test_what_is_asked_is_bounded_and_goes_with_its_link(port: Port) -> None:
    link = link_of(port)
    settle(port, link)
    answers = 0
    for number in range(1, 400):
        port.check(link, ("198.51.100.1", number))
        answers += len(port.sent())
        assert len(port.mux._proofs) <= MAX_ASKED
    assert answers <= CHECK_BURST
    assert port.reasons()["stun-flood"] >= 399 - CHECK_BURST
    assert len(port.mux._by_address) == 1
    port.check(link)  # who is known is answered all the same
    assert len(port.sent()) == 1
    link.close()
    assert len(port.mux._proofs) == 0
    assert port.mux._proofs._by_link == {}


def test_one_whose_own_address_it_is_is_not_asked_on_behalf_of_another(port: Port) -> None:
    ann, ben = link_of(port), link_of(port)
    settle(port, ann)
    port.check(ben, HOME)
    assert (port.sent(), port.reasons()) == ([], {"address-taken": 1})


def test_what_nobody_asked_for_is_counted(port: Port) -> None:
    link = link_of(port)
    settle(port, link)
    reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
    reply.add_message_integrity(PASSWORD.encode())
    port.put(bytes(reply))
    assert port.reasons() == {"stun-not-a-check": 1}


@given(st.integers(0, 200), st.integers(0, 255), st.integers(0, 40))
def test_a_damaged_answer_proves_nothing(place: int, value: int, cut: int) -> None:
    port = Port()
    link = link_of(port)
    port.check(link)
    good = answer(question(port, HOME), PASSWORD)
    bad = bytearray(good)
    bad[place % len(good)] = value
    del bad[len(bad) - cut :]
    port.put(bytes(bad))
    if bytes(bad) == good:
        assert at(link) == HOME
    elif link.address is not None:  # what follows the proof (a fingerprint of 8 bytes) proves nothing
        assert bad[:-8] == good[:-8]
    else:
        assert sum(port.reasons().values()) + link._waiting.qsize() == 1


def test_nothing_is_sent_to_who_stopped_asking(port: Port) -> None:
    """RFC 7675: the next check brings it back, without a new proof where it was."""
    link, other = link_of(port), link_of(port)
    settle(port, link)
    settle(port, other, OTHER)
    port.now += CONSENT_S - 0.1
    port.mux.look_for_consent()
    assert at(link) == HOME
    port.check(other, OTHER)
    port.now += 0.2
    port.mux.look_for_consent()
    port.mux.look_for_consent()
    assert (at(link), at(other)) == (None, OTHER)
    port.sent()
    port.send(link, b"media")
    assert port.sent() == []
    assert port.reasons() == {"unheard": 1, "unreachable": 1}
    port.check(link, nominate=False)  # peers check their path without nominating it again
    assert at(link) == HOME
    port.sent()
    port.send(link, b"media")
    assert port.sent() == [(b"media", HOME)]


@pytest.mark.parametrize("name", [f"{UFRAG}:x", "nobody:x", ""])
def test_a_check_of_ours_sent_back_is_no_check(port: Port, name: str) -> None:
    link = link_of(port)
    port.check(link)
    port.sent()
    message: Any = binding(name, PASSWORD, nominate=True)
    port.put(message)
    assert port.reasons() == {"stun-not-authorised": 1}
    assert at(link) is None
