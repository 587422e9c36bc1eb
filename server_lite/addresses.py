"""Which addresses of this machine others can reach."""

from __future__ import annotations

import ipaddress
import socket

import ifaddr


def own_addresses() -> list[str]:
    """Addresses by which others may reach this machine, the one of the default route first.

    IPv4 before IPv6, no loopback and no link-local ones; 127.0.0.1 alone where there is no network.
    """
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition("%")[0])
            if not address.is_loopback and not address.is_link_local and address not in found:
                found.append(address)
    preferred = _default_route_address()
    found.sort(key=lambda a: (str(a) != preferred, a.version))
    return [str(a) for a in found] or ["127.0.0.1"]


def media_addresses(host: str, advertise: tuple[str, ...]) -> list[str]:
    """Addresses for ICE candidates of a UDP socket bound to `host`."""
    if advertise:
        return list(advertise)
    if host not in ("0.0.0.0", "::"):
        return [host]
    # "::" serves both families (see rtc.udp_mux.bind).
    versions = (4, 6) if host == "::" else (4,)
    fitting = [a for a in own_addresses() if ipaddress.ip_address(a).version in versions]
    # Clients on this machine reach us by loopback even when the network is pulled.
    loopback = ["127.0.0.1", "::1"] if host == "::" else ["127.0.0.1"]
    return [*(a for a in fitting if a not in loopback), *loopback]


def _default_route_address() -> str:
    # Connecting a UDP socket sends nothing; the system picks the source by its routes (RFC 5737 address).
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""
