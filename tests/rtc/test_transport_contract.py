"""Private names of aiortc 1.16 and aioice 0.13 that rtc/transport.py and rtc/udp_mux.py build on.

When one of these fails after an update, the sentence says what to look at; docs/decisions/0011 says why.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from importlib.metadata import version
from typing import Any

import aioice
import pytest
from aioice import ice, stun
from aiortc import RTCCertificate, RTCIceGatherer, RTCIceTransport
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCDtlsTransport, State

from rtc.server_transport import _PROFILES
from tests.rtc.transport_pair import packet, pair, until


def source(thing: Any) -> str:
    return inspect.getsource(thing)


def test_the_releases_are_those_that_were_read() -> None:
    assert version("aiortc").startswith("1.16."), "read rtc/transport.py against the new release first"
    assert version("aioice").startswith("0.13."), "read rtc/transport.py and udp_mux.py against it first"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_set_role", ["self", "role"]),
        ("_set_state", ["self", "state"]),
        ("_setup_srtp", ["self"]),
        ("_handle_rtp_data", ["self", "data", "arrival_time_ms"]),
        ("_handle_rtcp_data", ["self", "data"]),
        ("start", ["self", "remoteParameters"]),
        ("stop", ["self"]),
    ],
)
def test_methods_of_dtls(name: str, parameters: list[str]) -> None:
    method = getattr(RTCDtlsTransport, name, None)
    assert method is not None, f"RTCDtlsTransport.{name} is gone: packets would not reach _Dtls any more"
    assert list(inspect.signature(method).parameters) == parameters, (
        f"RTCDtlsTransport.{name} takes something else: our override or call does not fit"
    )


def test_packets_are_awaited_methods() -> None:
    for name in ("_handle_rtp_data", "_handle_rtcp_data"):
        assert inspect.iscoroutinefunction(getattr(RTCDtlsTransport, name)), (
            f"{name} is no coroutine any more: our override must not be one either"
        )


def test_what_dtls_needs_of_the_path_below() -> None:
    used = source(RTCDtlsTransport)
    for name in ("_recv()", "_send(", ".role"):
        assert f"self.transport.{name.lstrip('.')}" in used, f"DTLS does not use {name} of ICE: see MuxLink"
    foreign = {
        line.split("self.transport.")[1].split("(")[0].split()[0].rstrip(",:)")
        for line in used.splitlines()
        if "self.transport." in line
    }
    assert foreign <= {"_recv", "_send", "role"}, f"DTLS uses more of ICE than MuxLink has: {foreign}"


def test_fields_of_dtls() -> None:
    used = source(RTCDtlsTransport)
    for name in ("_rx_srtp", "_tx_srtp", "_ssl", "_task"):
        assert f"self.{name}" in used, f"RTCDtlsTransport.{name} is gone: keys or cipher cannot be found"
    assert "allow_repeat_tx = True" in source(RTCDtlsTransport._setup_srtp), (
        "SRTP would refuse to send a repaired packet that the late original follows"
    )


def test_profiles_of_srtp() -> None:
    """What ServerDtls needs to take the keys out."""
    for profile, known in _PROFILES.items():
        found = next((p for p in SRTP_PROFILES if p.openssl_profile == profile), None)
        assert found is not None, f"{profile!r} is not offered any more"
        assert (found.key_length, found.salt_length) == (known.key_bytes, known.salt_bytes)
        size = found.key_length + found.salt_length
        exported = bytes(range(2 * size))
        keys, salts = exported[: 2 * found.key_length], exported[2 * found.key_length :]
        for place in (0, 1):  # the client's first (RFC 5764 section 4.2)
            expected = (
                keys[place * found.key_length :][: found.key_length]
                + salts[place * found.salt_length :][: found.salt_length]
            )
            assert found.get_key_and_salt(exported, place) == expected
    assert {p.openssl_profile for p in SRTP_PROFILES} == set(_PROFILES), "a profile that the plane lacks"


def test_where_keys_are_taken_out() -> None:
    setup = source(RTCDtlsTransport._setup_srtp)
    for name in ("EXTRACTOR-dtls_srtp", "export_keying_material", "self._srtp_profiles", "State.FAILED"):
        assert name in setup, f"{name} is not used there any more: see ServerDtls._setup_srtp"
    start = source(RTCDtlsTransport.start)
    assert start.index("_validate_peer_identity") < start.index("self._setup_srtp()"), (
        "the plane would get keys of a peer whose certificate was not looked at"
    )


async def test_the_server_keeps_no_session_of_its_own() -> None:
    async with pair() as both:
        dtls = both.server._dtls
        assert dtls is not None
        assert dtls.state == "connected"
        assert dtls._rx_srtp is None, "media would be opened twice"
        assert dtls._tx_srtp is None
        assert both.server.cipher == both.client.cipher


def test_states_of_dtls() -> None:
    for state in ("CONNECTED", "CLOSED", "FAILED"):
        assert hasattr(State, state), f"{state} is gone: PeerTransport would not notice the end of a path"
    assert "statechange" in source(RTCDtlsTransport), "nobody tells of the end of a path any more"


def test_a_peer_without_a_certificate_is_refused() -> None:
    context = source(RTCCertificate._create_ssl_context)
    assert "VERIFY_FAIL_IF_NO_PEER_CERT" in context, (
        "a peer without a certificate would get to the fingerprint check, which expects one"
    )


def test_the_agent_of_the_client() -> None:
    async def look() -> None:
        gatherer = RTCIceGatherer(iceServers=[])
        connection = getattr(gatherer, "_connection", None)
        assert isinstance(connection, aioice.Connection), "the ICE agent is not in _connection any more"
        for name in (
            "_local_candidates",
            "_local_candidates_start",
            "_local_candidates_end",
            "_nominated",
            "ice_controlling",
            "remote_is_lite",
        ):
            assert hasattr(connection, name), f"aioice Connection.{name} is gone: see ClientLink.establish"
        assert connection._local_candidates == []
        assert connection._nominated == {}
        connection.ice_controlling = True
        assert RTCIceTransport(gatherer).role == "controlling", "we would not control, and could hang"

    import asyncio

    asyncio.run(look())


def test_gathering_at_chosen_addresses() -> None:
    parameters = inspect.signature(aioice.Connection.get_component_candidates).parameters
    assert {"component", "addresses"} <= set(parameters), "the client cannot choose its addresses any more"
    assert "_local_candidates_start" in source(aioice.Connection.gather_candidates), (
        "aioice would gather at all addresses although we did it at those that lead to the server"
    )


def test_a_server_that_is_ice_lite_is_known_as_such() -> None:
    assert "iceLite" in source(RTCIceTransport.start), (
        "the third field of RTCIceParameters says ICE-lite; without it nominations could wait for checks"
    )


def test_names_of_the_protocol_below() -> None:
    assert "transport" in ice.StunProtocol.__annotations__, "ClientLink sends straight to .transport"


def test_the_parser_of_checks() -> None:
    assert list(inspect.signature(stun.parse_message).parameters) == ["data"], "UdpMux calls it with bytes"
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    assert message.check_message_integrity(b"key") is False, (
        "UdpMux takes a message without integrity as false"
    )
    message.add_message_integrity(b"key")
    parsed = stun.parse_message(bytes(message))
    assert parsed.check_message_integrity(b"key") is True, "a check with the password must be let in"
    assert parsed.check_message_integrity(b"other") is False, "a check with another password must not"
    assert "FINGERPRINT" in parsed.attributes, "browsers want a fingerprint in the answers of UdpMux"


async def test_what_a_connected_path_looks_like_inside() -> None:
    async with pair() as both:
        dtls = both.client._dtls
        assert dtls is not None
        assert dtls.state == "connected"
        assert dtls._ssl is not None
        profile = dtls._ssl.get_selected_srtp_profile()
        assert isinstance(profile, bytes), "PeerTransport.cipher decodes it"
        assert profile.startswith(b"SRTP_AEAD_AES_"), "AES-GCM is not preferred any more"
        nominated = both.client_link._gatherer._connection._nominated
        chosen = nominated[1]
        assert chosen.remote_addr == ("127.0.0.1", both.mux.port), (
            "ClientLink sends to the pair's remote_addr"
        )
        assert callable(chosen.protocol.transport.sendto), "ClientLink sends with the pair's own socket"
        both.client.send_rtp(packet(1))
        await until(lambda: both.at_server == [packet(1)])


def _loops() -> list[Any]:
    factories: list[Any] = [pytest.param(asyncio.new_event_loop, id="asyncio")]
    if sys.platform != "win32":
        factories.append(pytest.param(pytest.importorskip("uvloop").new_event_loop, id="uvloop"))
    return factories


@pytest.mark.parametrize("loop_factory", _loops())
def test_media_goes_past_the_queue_of_aioice(loop_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def there_and_back() -> None:
        async with pair() as both:
            queued: list[bytes] = []
            connection = both.client_link._gatherer._connection
            monkeypatch.setattr(connection, "data_received", lambda data, component: queued.append(data))
            both.server.send_rtp(packet(1))
            await until(lambda: both.at_client == [packet(1)])
            assert not queued, "the loop does not look up datagram_received any more: packets are slow again"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(there_and_back())
