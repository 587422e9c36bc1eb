"""Random transport-wide feedback on two forwarding planes, of paths that fill up, empty, lose and lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtc.errors import PacketError
from rtc.fanout import Fanout, SentPacket
from rtc.observation import NEVER, Attention
from rtc.transport_feedback import TICK, TransportFeedback
from tests.rtc.fanout_changes import Changes
from tests.rtc.fanout_pair import Path

#: Packets that one feedback tells of at most here.
MOST = 400


@dataclass
class Told:
    """What the other end of a path told, and how its packets fare."""

    next: int = 0
    offset: int = 5_000_000_000  # microseconds, of its clock
    delay: float = 20_000.0
    slope: float = 0.0  # microseconds of delay per packet
    loss: float = 0.0
    count: int = 0


#: A receiver report without blocks; reports alone, and what is like one.
_REPORT = b"\x80\xc9\0\1\0\0\0\1"
_REPORTS = (_REPORT, b"\x81" + _REPORT[1:], _REPORT + b"\0", b"\x81\xc9\0\7" + bytes(28))


class Feedback(Changes):
    """Feedback of peers, and looks at it."""

    def __init__(self, make: Sequence[Callable[[], Fanout]], seed: int) -> None:
        super().__init__(make, seed)
        self.told: dict[Path, Told] = {}

    def feedback(self) -> None:
        """One datagram of one peer, or far too many."""
        path = self.random.choice(list(self.paths.values()))
        for _ in range(130 if self.random.random() < 0.02 else 1):
            self.tell(path)

    def watch(self) -> None:
        """Some seconds of a path: media, and feedback ten times a second."""
        random = self.random
        states = [self.both("destination_state", one) for one in self.destinations]
        flowing = [
            one for one, state in zip(self.destinations, states, strict=True) if state.stream in self.sources
        ]
        if not flowing:
            return
        destination = random.choice(flowing)
        stream = self.both("destination_state", destination).stream
        source, sender = self.sources[stream], self.paths[self.owners[stream]]
        receiver = self.paths[self.destinations[destination]]
        for _ in range(60):
            for _ in range(random.choice((1, 3, 3, 5))):
                sealed = [self.seal(sender, packet) for packet in source.packets()]
                self.come_in([(sender, data) for data in sealed if data is not None])
                self.both("forward", b"\1" * len(self.records), self.now)
                self.both("flush", -1, self.now)
                self.now += 33_000
            self.both("take")
            self.tell(receiver)

    def tell(self, path: Path) -> None:
        random = self.random
        told = self.told.setdefault(path, Told())
        self.fare(told)
        data = b""
        for _ in range(random.choice((1, 1, 1, 2))):
            report = self.report(path, told)
            if report is not None:
                data += self.changed(report)
        if not data:
            return
        kind = random.random()
        if kind < 0.1:
            self.both("feedback", path.handle, data, self.now)
        else:
            if kind < 0.2:
                data += _REPORT  # with it: all is handed over
            elif kind < 0.25:
                data = random.choice(
                    (_REPORT, b"\x81" + _REPORT[1:], _REPORT + b"\0", b"\x81\xc9\0\7" + bytes(28))
                )
            for _ in range(130 if random.random() < 0.01 else 1):  # a flood, now and then
                sealed = None if path.session is None else path.session.seal_rtcp(data)
                self.come_in([(path, sealed or data)])
        if random.random() < 0.7:
            self.listen()

    def fare(self, told: Told) -> None:
        """Changes what happens to packets, now and then."""
        random = self.random
        if random.random() < 0.1:
            told.slope = random.choice((0.0, 0.0, 50.0, 400.0, 3000.0, -400.0, -3000.0))
            told.loss = random.choice((0.0, 0.0, 0.0, 0.02, 0.3, 0.9))
        if random.random() < 0.01:
            told.offset += random.choice((-6_000_000, 4_000_000, 900_000_000_000, -told.offset))

    def report(self, path: Path, told: Told) -> TransportFeedback | None:
        """Of what was sent and is not told yet, mostly."""
        random = self.random
        first = told.next
        dice = random.random()
        if dice < 0.1:
            first -= random.randrange(200)  # again, with what came late
        elif dice < 0.13:
            first += random.randrange(1, 300)  # a feedback was lost
        elif dice < 0.14:
            first = random.randrange(65536)
        sent: list[SentPacket | None] = self.both("sent", path.handle, first & 0xFFFF, MOST)
        known = [index for index, packet in enumerate(sent) if packet is not None]
        size = known[-1] + 1 if known else random.randrange(3)
        size = random.randrange(size + 1) if random.random() < 0.2 else size
        if not size:
            return None
        told.next = max(told.next, first + size) if dice < 0.99 else first + size
        told.count += 1
        times = [None if packet is None else self.arrives(told, packet) for packet in sent[:size]]
        begin = next((time for time in times if time is not None), 0) // TICK // 256
        arrivals = tuple(None if time is None else time // TICK - begin * 256 for time in times)
        return TransportFeedback(1, 2, first & 0xFFFF, begin & 0xFFFFFF, told.count & 0xFF, arrivals)

    def arrives(self, told: Told, packet: SentPacket) -> int | None:
        random = self.random
        told.delay = min(max(told.delay + told.slope, 1000.0), 2_000_000.0)
        if random.random() < told.loss:
            return None
        return max(
            0, packet.time + told.offset + int(told.delay) + random.randrange(random.choice((1, 500, 9000)))
        )

    def changed(self, report: TransportFeedback) -> bytes:
        """As bytes, some of which lie."""
        random = self.random
        try:
            data = bytearray(report.serialize())
        except PacketError:
            return b""
        if random.random() < 0.05:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        if random.random() < 0.02:
            del data[random.randrange(4, len(data)) :]
        if random.random() < 0.3:
            data[0] |= 0x20  # as browsers do
        return bytes(data)

    def listen(self) -> None:
        """Looks at whoever is named, and at others; listens differently from now on."""
        random = self.random
        named = self.both("heard")
        for peer in named:
            self.both("observe", peer, self.now)
        if random.random() < 0.1:
            self.both("observe", random.choice([*self.paths, 40]), self.now)
        if random.random() < 0.3:
            begin = self.now - random.randrange(300_000)
            attention = Attention(
                random.choice((0, 0, 500_000)),
                random.choice((NEVER, 5_000_050_000, 0)),
                random.choice((0, 0, 1, 2, 3)),
                begin,
                random.choice((begin - 1, begin + random.randrange(200_000))),
            )
            self.both("listen", random.choice([*self.paths, 40]), attention)
