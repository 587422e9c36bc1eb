"""The least that a machine must do to forward: encrypt each packet for each receiver and send it.

`python -m bench.floor SECONDS PORT...`: the same packets at the same times as one publisher of the scenario
`forwarding` sends, each sealed with AES-256-GCM under a key of each receiver and sent to that receiver's
PORT on the loopback, by the forwarding kernel's own sealing, sendmmsg and GSO. Nothing is received,
decided, rewritten or kept. Prints one line of JSON: `{"packets", "cpu_seconds"}`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from bench.loadbot.outgoing import Wide
from bench.loadbot.scenarios import SCENARIOS, SOUND_INTERVAL
from bench.loadbot.sending import Sending
from rtc.fanout import Fanout, MasterKey, Profile
from rtc.fanout_open import native_reason
from rtc.socket_address import pack_address

_MOST_RECEIVERS: Final = 500
_BUFFER_BYTES: Final = 4 << 20


class _Plane(Fanout, Protocol):
    """The kernel, which does the floor too."""

    def floor(self, peers: Sequence[int], packets: Sequence[bytes], fd: int) -> int:
        """Each packet to each peer; how many that were."""


def missing() -> str:
    """Why there is no floor here; empty if there is one."""
    return native_reason()


class Floor:
    """Seals and sends; `packets` counts what was sent, `cpu` the seconds that it took."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.packets, self.cpu = 0, 0.0
        self._plane = cast(_Plane, import_module("rtc._fanout").NativeFanout())
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._peers = [self._peer(port) for port in ports]

    def send(self, packets: Sequence[bytes]) -> None:
        """To all receivers."""
        began = time.thread_time()
        self.packets += self._plane.floor(self._peers, packets, self._socket.fileno())
        self.cpu += time.thread_time() - began

    def close(self) -> None:
        self._plane.close()
        self._socket.close()

    def _peer(self, port: int) -> int:
        peer = self._plane.open_peer()
        keys = [MasterKey(os.urandom(32), os.urandom(12)) for _ in range(2)]
        self._plane.set_keys(peer, Profile.AES_256_GCM, keys[0], keys[1])
        self._plane.set_address(peer, pack_address("127.0.0.1", port))
        return peer


def run(ports: Sequence[int], seconds: float) -> dict[str, float]:
    """Sends for so long; packets and CPU seconds, those for making the packets left out."""
    floor = Floor(ports)
    sending = Sending(0, SCENARIOS["forwarding"], lambda now: True, Wide(agreed=True))
    encoder = sending.encoders[0]
    end = time.monotonic() + seconds
    sound = video = time.monotonic()
    try:
        while (now := time.monotonic()) < end:
            if now >= sound:
                floor.send([sending.microphone.packet(sound, now, 20)])
                sound += SOUND_INTERVAL
            if now >= video:
                floor.send(encoder.picture(video, now))
                video += encoder.interval
            time.sleep(max(0.0, min(sound, video) - time.monotonic()))
    finally:
        floor.close()
    return {"packets": floor.packets, "cpu_seconds": floor.cpu}


def main() -> int:
    """See the module."""
    seconds, ports = float(sys.argv[1]), [int(port) for port in sys.argv[2:]]
    if not 1 <= len(ports) <= _MOST_RECEIVERS:
        print(f"Take 1 to {_MOST_RECEIVERS} receivers.", file=sys.stderr)
        return 2
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    print(json.dumps(run(ports, seconds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
