"""Which addresses of this machine others are told."""

from __future__ import annotations

import ipaddress
from typing import Any

import ifaddr
import pytest

from server_lite import addresses
from server_lite.addresses import media_addresses, own_addresses
from server_lite.app import invitation_host
from server_lite.config import Settings


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with these addresses, the default route going by `route`."""

    def make(*ips: str, route: str = "") -> None:
        listed = [ifaddr.IP((ip, 0, 0) if ":" in ip else ip, 24, "eth") for ip in ips]
        monkeypatch.setattr(ifaddr, "get_adapters", lambda: [ifaddr.Adapter("eth", "eth", listed)])
        monkeypatch.setattr(addresses, "_default_route_address", lambda: route)

    return make


def test_the_default_route_comes_first_and_what_leads_nowhere_is_left_out(machine: Any) -> None:
    machine(
        "127.0.0.1",
        "169.254.1.1",
        "10.0.0.5",
        "::1",
        "fe80::1%eth0",
        "2001:db8::5",
        "192.168.1.5",
        route="192.168.1.5",
    )
    assert own_addresses() == ["192.168.1.5", "10.0.0.5", "2001:db8::5"]


def test_without_a_network_there_is_loopback(machine: Any) -> None:
    machine("127.0.0.1", "::1")
    assert own_addresses() == ["127.0.0.1"]
    assert media_addresses("0.0.0.0", ()) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("0.0.0.0", ["10.0.0.5", "127.0.0.1"]),
        ("::", ["10.0.0.5", "2001:db8::5", "127.0.0.1", "::1"]),
        ("10.0.0.5", ["10.0.0.5"]),
        ("::1", ["::1"]),
    ],
)
def test_candidates_are_of_the_families_that_are_served(machine: Any, host: str, told: list[str]) -> None:
    machine("2001:db8::5", "10.0.0.5")
    assert media_addresses(host, ()) == told


def test_what_the_owner_says_goes_first(machine: Any) -> None:
    machine("10.0.0.5")
    assert media_addresses("0.0.0.0", ("203.0.113.9", "10.0.0.5")) == ["203.0.113.9", "10.0.0.5"]
    assert invitation_host(Settings(advertise=("203.0.113.9",))) == "203.0.113.9"


def test_an_invitation_names_an_address_that_is_served(machine: Any) -> None:
    machine("2001:db8::5")
    assert invitation_host(Settings(host="0.0.0.0")) == "127.0.0.1"
    assert invitation_host(Settings(host="::")) == "2001:db8::5"
    assert invitation_host(Settings(host="192.0.2.7")) == "192.0.2.7"


def test_this_very_machine_has_addresses() -> None:
    assert all(ipaddress.ip_address(address) for address in own_addresses())
