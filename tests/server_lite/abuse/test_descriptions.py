"""Session descriptions that cannot be used: refused, and what there was stays."""

from __future__ import annotations

import asyncio

import pytest

from rtc.sdp import SessionDescription
from rtc.signalling.base import MAX_STREAMS
from rtc.transport import Certificate, ClientLink, PeerTransport
from tests.server_lite.abuse.conftest import Stranger
from tests.support.wire_member import WireMember


@pytest.fixture(scope="module")
def usable() -> str:
    """An offer of one microphone that the server would take."""

    async def make() -> str:
        link = ClientLink()
        transport = PeerTransport(link, Certificate(), on_rtp=lambda *a: None, on_rtcp=lambda *a: None)
        offer = SessionDescription(transport.local_parameters("active"))
        offer.sections.append(WireMember._section("audio", "0", "sendonly"))
        await transport.close()
        return str(offer)

    return asyncio.run(make())


def offer(sdp: str, **more: object) -> dict[str, object]:
    return {"type": "media.offer", "id": 6, "sdp": sdp, "send": [{"mid": "0", "source": "microphone"}]} | more


SECTION = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{}\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n"


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "v=0",
        "v=0\r\n" * 5000,
        "hello",
        "\u0000" * 1000,
        "v=0\r\nm=audio",
        "v=0\r\nm=audio 9 x 111\r\na=mid:0\r\n",
    ],
)
def test_text_that_is_no_description(member: Stranger, sdp: str) -> None:
    assert member.refusal(offer(sdp)) == ("sdp-malformed", 6)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("m=audio 9", "m=audio 99999999999999999999", "sdp-malformed"),
        ("m=audio 9", "m=audio -1", "sdp-malformed"),
        ("opus/48000/2", "opus/x", "sdp-malformed"),
        ("opus/48000/2", "PCMU/8000", "codec-unknown"),
        ("a=mid:0", "a=mid:", "sdp-malformed"),
        ("a=mid:0", "a=mid:" + "0" * 5000, "sdp-malformed"),
        ("a=mid:0", "a=mid:1", "sdp-mismatch"),
        ("a=sendonly", "a=recvonly", "sdp-mismatch"),
        ("a=ice-pwd:", "a=ice-pwd:short\r\na=x:", "sdp-malformed"),
        ("a=ice-ufrag:", "a=ice-ufrag:\u00e4\u00e4\u00e4\u00e4\r\na=x:", "sdp-malformed"),
        ("a=fingerprint:sha-256", "a=fingerprint:md5", "sdp-malformed"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 ZZ:", "sdp-malformed"),
        ("a=setup:active", "a=setup:passive", "sdp-mismatch"),
        ("a=rtcp-mux", "a=rtcp-mux\r\na=candidate:1 1 udp x y z", "sdp-malformed"),
        ("a=rtcp-mux", "a=rtcp-mux" + "\r\na=x" * 2000, "sdp-malformed"),
    ],
)
def test_descriptions_that_lie(member: Stranger, usable: str, old: str, new: str, code: str) -> None:
    assert old in usable
    assert member.refusal(offer(usable.replace(old, new))) == (code, 6)


def test_a_thousand_sections(member: Stranger, usable: str) -> None:
    head = usable[: usable.index("m=audio")]
    tiny = "".join(f"m=audio 9 x 0\r\na=mid:{n}\r\n" for n in range(1000))
    assert member.refusal(offer(head + tiny)) == ("sdp-malformed", 6)


def test_as_many_sections_as_are_allowed_are_answered_in_time(member: Stranger, usable: str) -> None:
    head = usable[: usable.index("m=audio")]
    first = usable[usable.index("m=audio") :]
    many = "".join(SECTION.format(n) for n in range(1, MAX_STREAMS))
    answer = member.ask(offer(head + first + many), "media.answer", within=10)
    assert answer["sdp"].count("m=audio") == MAX_STREAMS


def test_two_sections_of_one_name(member: Stranger, usable: str) -> None:
    assert member.refusal(offer(usable + SECTION.format(0))) == ("sdp-malformed", 6)


def test_one_source_twice(member: Stranger, usable: str) -> None:
    send = [{"mid": m, "source": "microphone"} for m in ("0", "1")]
    assert member.refusal(offer(usable + SECTION.format(1), send=send)) == ("source-twice", 6)


def test_a_producer_that_is_not_there(member: Stranger, usable: str) -> None:
    """Receiving nothing is no error: the producer may have gone while the offer was under way."""
    wanted = SECTION.format(1).replace("sendonly", "recvonly")
    message = offer(usable + wanted, receive=[{"mid": "1", "producer": "p-nobody"}])
    assert member.ask(message, "media.answer")["re"] == 6


def test_one_section_for_both_directions_is_refused(member: Stranger, usable: str) -> None:
    message = offer(usable, receive=[{"mid": "0", "producer": "p-nobody"}])
    code, re = member.refusal(message)
    assert code.startswith("sdp-")
    assert re == 6


def test_a_storm_of_new_paths_leaves_one(member: Stranger, usable: str) -> None:
    """Each offer with a new user fragment is a new path; the old one must not stay."""
    for number in range(40):
        start = usable.index("a=ice-ufrag:") + len("a=ice-ufrag:")
        fresh = usable[:start] + f"uf{number:04d}" + usable[start + 4 :]
        assert member.ask(offer(fresh), "media.answer", within=15)["re"] == 6
