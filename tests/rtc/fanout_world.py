"""Makes the same random calls on two forwarding planes: media and all that disturbs it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rtc.fanout import (
    BATCH,
    MAX_DATAGRAM,
    Codec,
    Fanout,
    Record,
)
from tests.rtc.fanout_feedback import Feedback
from tests.rtc.fanout_pair import Path
from tests.rtc.fanout_sources import TYPES, Source


def drain(receiver: socket.socket) -> Iterator[bytes]:
    """All that waits in a socket."""
    receiver.setblocking(False)
    while True:
        try:
            yield receiver.recv(2048)
        except BlockingIOError:
            return


class World(Feedback):
    """One pair of planes, and everything that can happen to it."""

    def __init__(self, make: Sequence[Callable[[], Fanout]], seed: int) -> None:
        super().__init__(make, seed)
        for _ in range(3):
            self.open_peer()
        for _ in range(4):
            self.open_stream()
            self.open_destination()

    def run(self, packets: int) -> int:
        """Steps until so many packets came in; how many did."""
        actions = [getattr(self, name) for name in WEIGHTS]
        weights = list(WEIGHTS.values())
        while self.packets < packets:
            self.step += 1
            self.now += self.random.choice((0, 10, 500, 3000, 10_000, 33_000))
            if self.random.random() < 0.003:
                self.now += self.random.choice((2_000_000, 60_000_000, 7_200_000_000))
            self.random.choices(actions, weights)[0]()
            self.compare()
        return self.packets

    def media(self) -> None:
        """Frames of some streams in one batch, forwarded or not."""
        random = self.random
        batch: list[tuple[Path, bytes]] = []
        if random.random() < 0.2 and self.held:
            batch.append(self.held.pop(random.randrange(len(self.held))))
        for _ in range(random.choice((1, 1, 2, 4))):
            source, path = self.pick_source()
            if source is None or path is None:
                break
            packets = source.packets() if random.random() < 0.85 else [source.retransmission()]
            for packet in packets:
                data = self.seal(path, packet)
                if data is not None:
                    batch.append((path, data))
        self.come_in(self.disturb(batch))
        self.judge()

    def disturb(self, batch: list[tuple[Path, bytes]]) -> list[tuple[Path, bytes]]:
        """Loss, overtaking, duplicates, replays, forgeries."""
        random = self.random
        found: list[tuple[Path, bytes]] = []
        for path, data in batch:
            dice = random.random()
            if dice < 0.03:
                continue
            if dice < 0.07:
                self.held = [*self.held[-20:], (path, data)]
                continue
            if dice < 0.09:
                changed = bytearray(data)
                changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
                data = bytes(changed)
            elif dice < 0.10:
                data = data[: random.randrange(len(data))]
            elif dice < 0.12:
                found.append((path, data))
            elif dice < 0.14 and path.sealed:
                found.append((path, random.choice(path.sealed)))
            found.append((path, data))
        if random.random() < 0.1:
            random.shuffle(found)
        return found[:BATCH]

    def noise(self) -> None:
        """What is no media: STUN, DTLS, anything."""
        random = self.random
        path = random.choice(list(self.paths.values()))
        flood = random.random() < 0.05
        for _ in range(600 if flood else random.choice((1, 1, 1, 20))):
            size = random.choice((0, 1, 2, 11, 12, 20, 100, MAX_DATAGRAM, MAX_DATAGRAM + 1))
            data = bytearray(random.randbytes(size))
            if data:
                data[0] = random.choice((0, 3, 4, 19, 20, 63, 64, 127, 128, 0x90, 0xB3, 191, 192, 255))
            address = path.address if flood else random.choice((path.address, b"stranger", path.address))
            if flood and data:
                data[0] = 1
            self.doing = f"deliver({bytes(data).hex()}, {address!r})"
            self.see([plane.deliver(bytes(data), address, self.now) for plane in self.planes])
            self.packets += 1
        self.judge()

    def crowd(self) -> None:
        """Strangers all at once, or more SSRCs than a peer may have."""
        random = self.random
        path = random.choice(list(self.paths.values()))
        if random.random() < 0.2:
            for _ in range(2001):
                self.see([plane.deliver(b"\0\1", b"stranger", self.now) for plane in self.planes])
            self.packets += 2001
            return
        for _ in range(70):
            packet = b"\x80\x6f" + random.randbytes(20)
            data = self.seal(path, packet)
            if data is not None:
                self.see([plane.deliver(data, path.address, self.now) for plane in self.planes])
                self.packets += 1

    def burst(self) -> None:
        """Much video in no time, through pacers that fill up."""
        states = [self.both("destination_state", one) for one in self.destinations]
        flowing = {one.stream for one in states if one.stream in self.sources}
        flowing = {one for one in flowing if self.sources[one].plan.video}
        if not flowing:
            return
        stream = self.random.choice(sorted(flowing))
        source, path = self.sources[stream], self.paths[self.owners[stream]]
        slow = self.random.random() < 0.7
        for peer in self.paths if slow else ():
            self.both("set_pace", peer, 10_000)
        for _ in range(250):
            sealed = [self.seal(path, packet) for packet in source.packets()]
            self.come_in([(path, data) for data in sealed if data is not None])
            self.both("forward", b"\1" * len(self.records), self.now)
            self.now += 1000
        for peer in self.paths if slow else ():
            self.both("set_pace", peer, 0 if self.random.random() < 0.7 else 1_000_000)

    def reports(self) -> None:
        random = self.random
        path = random.choice(list(self.paths.values()))
        body = bytes((0x80 | random.randrange(32), random.choice((200, 201, 205, 206)))) + random.randbytes(
            random.choice((6, 6, 10, 26, 50))
        )
        ssrc = random.choice((1, 1, random.randrange(1 << 32) if random.random() < 0.1 else 2))
        body = body[:4] + ssrc.to_bytes(4, "big") + body[8:]
        data = None if path.session is None else path.session.seal_rtcp(body)
        self.come_in(self.disturb([(path, data or body + bytes(20))]))
        self.judge()

    def judge(self) -> None:
        """Adopts what nobody opened a stream for, now and then; forwards most."""
        random = self.random
        for index, record in enumerate(self.records):
            if record.kind == 1 and record.stream < 0 and random.random() < 0.4:
                self.adopt(index, record)
        verdicts = bytes(random.random() < 0.93 for _ in self.records)
        if random.random() < 0.005:
            verdicts += b"\1"
        self.both("forward", verdicts, self.now)
        if random.random() < 0.8:
            self.flush()

    def adopt(self, index: int, record: Record) -> None:
        """Opens a stream for what came, or takes its SSRC for repairs of another one."""
        random = self.random
        stream = random.choice([*self.owners, 50])
        known = next((source for source in self.orphans if source.plan.ssrc == record.ssrc), None)
        if known is not None:
            stream = self.both("open_stream", record.peer, known.plan)
            if stream is ValueError:
                return
            self.orphans.remove(known)
            self.sources[stream], self.owners[stream] = known, record.peer
        elif random.random() < 0.5:
            self.both("set_repair_ssrc", stream, record.ssrc)
        self.both("adopt", index, stream, self.now)
        self.both("packet", index)

    def pick_source(self) -> tuple[Source | None, Path | None]:
        random = self.random
        if self.orphans and random.random() < 0.05:
            return random.choice(self.orphans), random.choice(list(self.paths.values()))
        if not self.sources:
            return None, None
        stream = random.choice(list(self.sources))
        path = self.paths[self.owners[stream]]
        self.sources[stream].ids = path.ids
        return self.sources[stream], path

    def repair(self) -> None:
        random = self.random
        if not self.destinations:
            return
        destination = random.choice(list(self.destinations))
        around = self.numbers.get(destination, 0)
        if random.random() < 0.05:
            around = random.randrange(65536)
        count = random.choice((1, 5, 20, 300))
        self.both(
            "repair", destination, [(around - random.randrange(60)) & 0xFFFF for _ in range(count)], self.now
        )

    def probe(self) -> None:
        random = self.random
        peer = random.choice(list(self.paths))
        self.both("probe", peer, random.choice((0, 100, 1500, 12000)), random.randrange(4), self.now)

    def send(self) -> None:
        random = self.random
        peer = random.choice(list(self.paths))
        data = b"\x80\xc8" + random.randbytes(random.choice((2, 6, 10, 40, 1400, 1484, 1490, 1498, 1499)))
        match random.randrange(4):
            case 0:
                self.both("send_rtp", peer, b"\x80\x6f" + data[2:], self.now)
            case 1:
                self.both("send_rtcp", peer, data[:4] + b"\0\0\0\1"[: len(data) - 4] + data[8:], self.now)
            case 2:
                self.both("send_raw", peer, b"\x16" + data)
            case _:
                self.both("send_to", random.choice((b"anybody", b"", bytes(33), bytes(16))), data)

    def flush(self) -> None:
        """Also learns numbers to ask repairs for: those in the clear part of what went out."""
        self.both("flush", -1, self.now)
        self.both("next_flush", self.now)
        out = self.both("take")
        latest = {data[8:12]: data[2] << 8 | data[3] for _, data in out if len(data) > 12}
        for destination in self.destinations:
            number = latest.get(self.plans[destination].ssrc.to_bytes(4, "big"))
            if number is not None:
                self.numbers[destination] = number

    def flush_out(self) -> None:
        """Through a real socket, to the peers that have one."""
        self.flush()
        source, path = self.pick_source()
        if source is None or path is None:
            return
        sealed = [self.seal(path, packet) for packet in source.packets()]
        self.come_in([(path, data) for data in sealed if data is not None])
        self.both("forward", b"\1" * len(self.records), self.now)
        found = []
        for plane, output in zip(self.planes, self.outputs, strict=True):
            left = plane.flush(output.fileno(), self.now)
            found.append([left, *(list(drain(one.socket)) for one in self.paths.values())])
        self.same("flush", *found)
        self.both("take")

    def thin(self) -> None:
        """A long run of what a receiver does not want, some of it late."""
        for destination in self.destinations:
            state = self.both("destination_state", destination)
            source = self.sources.get(state.stream)
            if source is None or TYPES[source.payload_type] != Codec.VP8:
                continue
            path = self.paths[self.owners[state.stream]]
            self.both("aim", destination, state.stream, temporal=0)
            source.only_temporal = 2
            for _ in range(200):
                sealed = [(path, data) for data in map(partial(self.seal, path), source.packets()) if data]
                self.come_in(self.disturb(sealed))
                self.both("forward", b"\1" * len(self.records), self.now)
            source.only_temporal = None
            self.both("aim", destination, state.stream, temporal=2)
            for late, data in self.held[-20:]:
                self.come_in([(late, data)])
                self.both("forward", b"\1" * len(self.records), self.now)
            return

    def look(self) -> None:
        peer = self.random.choice([*self.paths, 40])
        self.both("arrivals", peer)
        self.both("sent", peer, self.random.choice((0, self.random.randrange(65536))), 300)


#: How often each happens.
WEIGHTS = {
    "media": 500,
    "noise": 8,
    "crowd": 1,
    "burst": 2,
    "thin": 1,
    "flush_out": 20,
    "reports": 40,
    "feedback": 60,
    "watch": 3,
    "listen": 5,
    "flush": 60,
    "aim": 30,
    "repair": 40,
    "probe": 20,
    "send": 30,
    "look": 20,
    "change_stream": 15,
    "change_peer": 12,
    "open_stream": 12,
    "close_stream": 8,
    "open_destination": 14,
    "close_destination": 6,
    "open_peer": 4,
    "close_peer": 2,
}
