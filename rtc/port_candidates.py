"""One port as ICE candidates."""

from __future__ import annotations

from rtc.sdp import Candidate


def port_candidates(hosts: list[str], port: int, *, tcp: bool) -> list[Candidate]:
    """The port at each of `hosts`, the first one preferred (RFC 8445 5.1.2), over TCP behind those over UDP
    (RFC 6544 section 4.2)."""
    found = [
        Candidate(host=h, port=port, priority=(126 << 24) + ((65535 - i) << 8) + 255)
        for i, h in enumerate(hosts)
    ]
    if tcp:
        found += [
            Candidate(
                host=h,
                port=port,
                priority=(90 << 24) + (((4 << 13) + 8191 - i) << 8) + 255,  # 4: passive
                foundation="2",
                protocol="tcp",
                tcp_type="passive",
            )
            for i, h in enumerate(hosts)
        ]
    return found
