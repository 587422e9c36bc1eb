"""Random calls that change what is open in two forwarding planes."""

from __future__ import annotations

from rtc.fanout import (
    Codec,
    DestinationPlan,
    ExtensionIds,
    MasterKey,
    Profile,
    StreamPlan,
)
from rtc.srtp_session import SrtpSession
from tests.rtc.fanout_pair import Pair, Path
from tests.rtc.fanout_sources import RTX_TYPES, TYPES, Source

ALL_IDS = ExtensionIds(mid=1, rid=2, repaired_rid=3, level=4, send_time=5, transport_wide=6, dependency=7)
IDS = (
    ALL_IDS,
    ALL_IDS,
    ExtensionIds(),
    ExtensionIds(mid=3, transport_wide=14, dependency=12),
    ExtensionIds(mid=15, level=1, transport_wide=2, dependency=3),
    ExtensionIds(level=16, send_time=2, dependency=8),
    ExtensionIds(send_time=200, transport_wide=1),
)
TAKES = {
    Codec.VP8: (100, 101),
    Codec.VP9: (102, 103),
    Codec.AV1: (104, 105),
    Codec.H264: (106, 0),
    Codec.OPAQUE: (109, 108),
    Codec.RED: (110, 112),
}


class Changes(Pair):
    """Peers, streams and destinations come, change and go."""

    def open_peer(self) -> None:
        if len(self.paths) >= 6:
            return
        path = Path(self.both("open_peer"))
        self.paths[path.handle] = path
        self.new_keys(path)
        self.new_ids(path)
        self.both("route", path.address, path.handle)
        self.new_address(path)

    def close_peer(self) -> None:
        if len(self.paths) <= 2:
            return
        path = self.random.choice(list(self.paths.values()))
        self.both("close_peer", path.handle)
        path.socket.close()
        del self.paths[path.handle]
        self.held = [entry for entry in self.held if entry[0] is not path]
        for stream in [stream for stream, peer in self.owners.items() if peer == path.handle]:
            self.orphans = [*self.orphans[-3:], self.sources.pop(stream)]
            del self.owners[stream]
        self.destinations = {one: peer for one, peer in self.destinations.items() if peer != path.handle}

    def change_peer(self) -> None:
        random = self.random
        path = random.choice(list(self.paths.values()))
        match random.randrange(6):
            case 0:
                self.new_keys(path)
            case 1:
                self.new_ids(path)
            case 2:
                self.new_address(path)
            case 3:
                self.both("route", path.address, random.choice((-1, path.handle, path.handle, 99)))
                if random.random() < 0.8:
                    self.both("route", path.address, path.handle)
            case _:
                rate = random.choice((0, 2000, 30_000, 500_000, 5_000_000))
                self.both("set_pace", path.handle, rate)

    def new_keys(self, path: Path) -> None:
        random = self.random
        if random.random() < 0.03:
            return
        profile = random.choice(list(Profile))
        receive, send = (
            MasterKey(random.randbytes(profile.key_bytes), random.randbytes(profile.salt_bytes))
            for _ in range(2)
        )
        self.both("set_keys", path.handle, profile, receive, send)
        path.session = SrtpSession(profile, receive, inbound=False)

    def new_ids(self, path: Path) -> None:
        path.ids = self.random.choice(IDS)
        self.both("set_extensions", path.handle, path.ids)

    def new_address(self, path: Path) -> None:
        usual = b"to %d" % path.handle
        where = b"" if self.random.random() < 0.05 else self.random.choice((usual, path.address, bytes(28)))
        self.both("set_address", path.handle, where)

    def open_stream(self) -> None:
        """One, or the layers of a source."""
        random = self.random
        if len(self.sources) >= 10:
            return
        peer, kind = random.choice(list(self.paths)), random.choice(list(TYPES))
        video = TYPES[kind] not in (Codec.OPAQUE, Codec.RED)
        group = random.choice((0, random.randrange(1, 1000)))
        for _ in range(3 if group and video else 1):
            plan = StreamPlan(
                random.randrange(1, 1 << 32),
                90000 if video else 48000,
                video,
                {known: codec for known, codec in TYPES.items() if random.random() < self.sends(kind, known)},
                RTX_TYPES if video else {},
                random.choice((0, random.randrange(1, 1 << 32))) if video else 0,
                group,
            )
            source = Source(random, plan, kind)
            if random.random() < 0.2:
                self.orphans = [*self.orphans[-3:], source]
                continue
            stream = self.both("open_stream", peer, plan)
            self.sources[stream], self.owners[stream] = source, peer
            if random.random() < 0.5:
                self.both("set_clock", stream, self.now + random.randrange(100_000), source.time)

    @staticmethod
    def sends(kind: int, known: int) -> float:
        """How many streams of payload type `kind` have `known` too: most that send RED have what is in it."""
        if known == kind:
            return 1.0
        return 0.9 if TYPES[kind] is Codec.RED and TYPES[known] is Codec.OPAQUE else 0.5

    def close_stream(self) -> None:
        if not self.sources:
            return
        stream = self.random.choice(list(self.sources))
        self.both("close_stream", stream)
        self.orphans = [*self.orphans[-3:], self.sources.pop(stream)]
        del self.owners[stream]

    def change_stream(self) -> None:
        random = self.random
        stream = random.choice([*self.sources, 50])
        match random.randrange(3):
            case 0:
                self.both("set_repair_ssrc", stream, random.choice((0, random.randrange(1, 1 << 32))))
            case 1:
                clock = self.now + random.randrange(-2_000_000, 2_000_000), random.randrange(1 << 32)
                if stream in self.sources and random.random() < 0.7:
                    clock = self.now + random.randrange(200_000), self.sources[stream].time
                self.both("set_clock", stream, *clock)
            case _:
                self.both("restart_stream", stream)
        if stream in self.sources:
            self.sources[stream].wants_key = True

    def open_destination(self) -> None:
        random = self.random
        if len(self.destinations) >= 12:
            return
        peer = random.choice(list(self.paths))
        video = random.random() < 0.7
        plan = DestinationPlan(
            random.randrange(1, 1 << 32),
            random.choice((0, random.randrange(1, 1 << 32), random.randrange(1, 1 << 32))) if video else 0,
            90000 if video else 48000,
            video,
            {codec: types for codec, types in TAKES.items() if random.random() < self.taken(codec)},
            random.choice((b"", b"0", b"video", b"a mid of 20 bytes   ")),
        )
        destination = self.both("open_destination", peer, plan)
        self.destinations[destination] = peer
        self.plans[destination] = plan
        self.aim(destination)

    @staticmethod
    def taken(codec: Codec) -> float:
        """How many destinations take it: many know Opus, but not RED."""
        return 0.5 if codec is Codec.RED else 0.9

    def close_destination(self) -> None:
        if self.destinations:
            destination = self.random.choice(list(self.destinations))
            self.both("close_destination", destination)
            del self.destinations[destination]

    def aim(self, destination: int | None = None) -> None:
        random = self.random
        if destination is None:
            destination = random.choice([*self.destinations, 70])
        plan = self.plans.get(destination)
        current = self.both("destination_state", destination)
        group = None
        if current is not ValueError and current.stream in self.sources:
            group = self.sources[current.stream].plan.group
        like = [one for one, source in self.sources.items() if group and source.plan.group == group]
        if not like or random.random() < 0.4:
            like = self.alike(plan)
        stream = random.choice(like or [-1])
        if random.random() < 0.1:
            stream = random.choice([*self.sources, -1, 50])
        spatial, temporal = random.choice((7, 7, 0, 1, 2)), random.choice((7, 7, 0, 1, 2, 8))
        self.both("aim", destination, stream, spatial=spatial, temporal=temporal, cut=random.random() < 0.2)
        if stream in self.sources:
            self.sources[stream].wants_key = True

    def alike(self, plan: DestinationPlan | None) -> list[int]:
        """Streams that a destination could show."""
        return [one for one, source in self.sources.items() if plan and source.plan.video == plan.video]
