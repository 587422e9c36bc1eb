"""The least that a machine must do to forward: encrypt each packet for each receiver and send it.

`python -m bench.floor PORT RECEIVERS SECONDS`: the same packets at the same times as one publisher of the
scenario `forwarding` sends, each sealed with AES-256-GCM under a key of each receiver and sent with sendmmsg
to PORT on the loopback. Nothing is received, decided, rewritten or kept. Prints one line of JSON:
`{"packets", "cpu_seconds"}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.loadbot.scenarios import SCENARIOS, SOUND_BYTES, SOUND_INTERVAL
from bench.loadbot.stamp import Stamp, opus_packet, vp8_frame
from rtc.rtp import RtpPacket
from rtc.vp8 import packetize

_HEADER_BYTES: Final = 12
#: Messages of one sendmmsg call; the kernel takes up to 1024.
_BATCH: Final = 256
_MOST_RECEIVERS: Final = 500


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr of Linux on 64 bits."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vector", ctypes.POINTER(_Iovec)),
        ("vector_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr: a struct of its own around msghdr, because of the padding at that one's end."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint32))


@dataclass(slots=True)
class _Slot:
    """A place for one sealed packet, filled in place."""

    buffer: bytearray
    view: Any
    vector: _Iovec


class Floor:
    """Seals and sends; `packets` counts what the kernel took."""

    def __init__(self, port: int, receivers: int) -> None:
        self.packets = 0
        self._ciphers = [AESGCM(os.urandom(32)) for _ in range(receivers)]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._socket.connect(("127.0.0.1", port))
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._messages = (_Message * _BATCH)()
        self._slots = [_slot(message) for message in self._messages]
        self._filled = 0
        self._nonce = 0

    def forward(self, packet: bytes) -> None:
        """To all receivers."""
        header, body = packet[:_HEADER_BYTES], packet[_HEADER_BYTES:]
        size = len(packet) + 16
        for cipher in self._ciphers:
            slot = self._slots[self._filled]
            self._nonce += 1
            slot.buffer[:_HEADER_BYTES] = header
            nonce = self._nonce.to_bytes(12, "big")
            cipher.encrypt_into(nonce, body, header, slot.view[_HEADER_BYTES:size])
            slot.vector.length = size
            self._filled += 1
            if self._filled == _BATCH:
                self.flush()

    def flush(self) -> None:
        """Sends what is sealed."""
        begin = 0
        while begin < self._filled:
            where = ctypes.byref(self._messages, begin * ctypes.sizeof(_Message))
            sent = self._sendmmsg(self._socket.fileno(), where, self._filled - begin, 0)
            if sent <= 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            begin += sent
        self.packets += begin
        self._filled = 0

    def close(self) -> None:
        self._socket.close()


def _slot(message: _Message) -> _Slot:
    buffer = bytearray(1500)
    vector = _Iovec(ctypes.addressof(ctypes.c_char.from_buffer(buffer)), 0)
    message.header.vector = ctypes.pointer(vector)
    message.header.vector_length = 1
    return _Slot(buffer, memoryview(buffer), vector)


def packets_of(name: str, number: int, now: float) -> list[bytes]:
    """The packets of one frame of `sound` or `video`."""
    scenario = SCENARIOS["forwarding"]
    stamp = Stamp(0, number, now)
    if name == "sound":
        return [
            RtpPacket(
                111, number & 0xFFFF, number * 960, 1, False, opus_packet(stamp, SOUND_BYTES)
            ).serialize()
        ]
    payloads = packetize(vp8_frame(stamp, scenario.frame_bytes, number == 0), number & 0x7FFF)
    return [
        RtpPacket(96, (number * len(payloads) + index) & 0xFFFF, number * 3000, 2, False, payload).serialize()
        for index, payload in enumerate(payloads)
    ]


def run(port: int, receivers: int, seconds: float) -> dict[str, float]:
    """Forwards for so long; packets and CPU seconds, those for making the packets left out."""
    floor = Floor(port, receivers)
    steps = {"sound": SOUND_INTERVAL, "video": 1 / SCENARIOS["forwarding"].fps}
    end = time.monotonic() + seconds
    due = dict.fromkeys(steps, time.monotonic())
    numbers = dict.fromkeys(steps, 0)
    spent = 0.0
    try:
        while (now := time.monotonic()) < end:
            for name, step in steps.items():
                if now >= due[name]:
                    packets = packets_of(name, numbers[name], now)
                    numbers[name] += 1
                    due[name] += step
                    began = time.thread_time()
                    for packet in packets:
                        floor.forward(packet)
                    floor.flush()
                    spent += time.thread_time() - began
            time.sleep(max(0.0, min(due.values()) - time.monotonic()))
    finally:
        floor.close()
    return {"packets": floor.packets, "cpu_seconds": spent}


def main() -> int:
    """See the module."""
    port, receivers, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    if not 1 <= receivers <= _MOST_RECEIVERS:
        print(f"Take 1 to {_MOST_RECEIVERS} receivers.", file=sys.stderr)
        return 2
    print(json.dumps(run(port, receivers, seconds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
