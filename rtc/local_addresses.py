"""Which of our addresses lead to others."""

from __future__ import annotations

import ipaddress
import socket


def is_address(host: str) -> bool:
    """Whether `host` is an address and not a name, which would have to be asked for."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def local_addresses_towards(hosts: list[str]) -> list[str]:
    """Our addresses from which the system would reach `hosts`, without sending anything."""
    found: list[str] = []
    for host in hosts:
        try:
            family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((host, 9))
                address = str(probe.getsockname()[0])
        except (OSError, ValueError):
            continue
        if address not in found:
            found.append(address)
    return found
