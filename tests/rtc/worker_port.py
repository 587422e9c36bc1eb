"""A worker in a process of its own: opens its port, says how to reach its links, echoes media, and when it is
told nothing more tells what it counted.

`python -m tests.rtc.worker_port PORT WORKER FOLDER LINKS`
"""

from __future__ import annotations

import asyncio
import json
import sys

from rtc.fanout import DROP, Record
from rtc.sdp import TransportParameters
from rtc.server_transport import ServerTransport
from rtc.udp_mux import UdpMux
from tests.rtc.transport_pair import SERVER

HOST = "127.0.0.1"


class Echo:
    """Sends back what comes in."""

    def __init__(self, mux: UdpMux) -> None:
        self._mux = mux
        self.media = 0
        self.transport = ServerTransport(
            mux.link(), mux.candidates([HOST]), SERVER, on_media=self._came, on_rtcp=lambda data, now: None
        )

    def _came(self, record: Record, index: int, now: int) -> int:
        self.media += 1
        self._mux.fanout.send_rtp(self.transport.peer, self._mux.fanout.packet(index), now)
        return DROP


async def serve(port: int, worker: int, folder: str, links: int) -> None:
    mux = await UdpMux.open(HOST, port, reuse_port=True, worker=worker, hand_over=folder)
    assert mux.hand_over is not None
    echoes = [Echo(mux) for _ in range(links)]
    told = [e.transport.local_parameters("passive") for e in echoes]
    print(
        json.dumps(
            {
                "port": mux.port,
                "links": [[t.ufrag, t.password, *t.fingerprint] for t in told],
                "candidates": [str(c) for c in told[0].candidates],
            }
        ),
        flush=True,
    )
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    connecting: list[asyncio.Task[None]] = []
    while (
        line := await lines.readline()
    ).strip():  # a client's parameters for each of our links, in their order
        ufrag, password, algorithm, value = json.loads(line)
        remote = TransportParameters(ufrag, password, (algorithm, value))
        connecting.append(asyncio.create_task(echoes[len(connecting)].transport.connect(remote)))
    await asyncio.gather(*connecting)
    counted = {
        "media": [e.media for e in echoes],
        "passed_on": mux.hand_over.passed_on,
        "taken": mux.hand_over.taken,
        "received": mux.packets_in,
        "dropped": dict(mux.dropped),
    }
    for echo in echoes:
        await echo.transport.close()
    await mux.close()
    print(json.dumps(counted), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
