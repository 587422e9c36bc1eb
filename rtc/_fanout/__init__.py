"""The forwarding plane's kernel in C, where it is built: `NativeFanout` is a `rtc.fanout.Fanout`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import wraps
from typing import Any, Final, TypeVar

from rtc._fanout.loading import Kernel, load
from rtc.fanout import (
    ARRIVALS,
    BATCH,
    COUNTERS,
    RECORD,
    DestinationPlan,
    DestinationState,
    ExtensionIds,
    MasterKey,
    Profile,
    Record,
    SentPacket,
    StreamPlan,
    StreamStatistics,
)
from rtc.fanout_plans import check_destination, check_ids, check_pace, check_stream
from rtc.observation import (
    KEPT_RECEIVED,
    OBSERVATION,
    RECEIVED,
    USAGES,
    Attention,
    Observation,
    Received,
)

T = TypeVar("T")


def available() -> bool:
    """Whether the kernel can be used."""
    return isinstance(load(), Kernel)


def why_not() -> str:
    """Why it cannot be used, as a sentence; empty if it can."""
    kernel = load()
    return kernel if isinstance(kernel, str) else ""


def fuzz(which: int, samples: Sequence[bytes], rounds: int, seed: int) -> int:
    """For tests: samples changed at random through a reader of the kernel (hf_fuzz in fanout.h); how many
    were taken for good. Raises ImportError where it is not built, ValueError for what it does not know."""
    kernel = load()
    if isinstance(kernel, str):
        raise ImportError(kernel)
    sizes = kernel.ffi.new("int[]", [len(sample) for sample in samples])
    taken = int(kernel.lib.hf_fuzz(which, b"".join(samples), sizes, len(samples), rounds, seed))
    if taken < 0:
        raise ValueError("there is no such reader, or a sample is too long")
    return taken


#: Methods called for each batch: they take no number but the time and a socket, and stay as they are.
_EACH_BATCH: Final = frozenset(("receive", "forward", "flush", "next_flush", "take", "heard"))


def _in_range(kernel: type[T]) -> type[T]:
    """A number that the C type does not hold is a ValueError as any other that is out of range."""

    def checked(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return method(*arguments, **named)
            except OverflowError:
                raise ValueError("an argument is out of range") from None

        return call

    for name, method in list(vars(kernel).items()):
        if callable(method) and not name.startswith("_") and name not in _EACH_BATCH:
            setattr(kernel, name, checked(method))
    return kernel


@_in_range
class NativeFanout:
    """The plane in C. Raises ImportError where it is not built."""

    def __init__(self) -> None:
        kernel = load()
        if isinstance(kernel, str):
            raise ImportError(kernel)
        self._ffi, self._lib = kernel.ffi, kernel.lib
        core = self._lib.hf_new()
        if not core:
            raise MemoryError
        self._core = self._ffi.gc(core, self._lib.hf_free)
        self._records = self._lib.hf_records(core)
        self._data = self._ffi.new("uint8_t **")
        self._address = self._ffi.new("uint8_t **")
        self._sizes = self._ffi.new("int[2]")
        self._count = 0
        self._heard = self._ffi.new("int[]", BATCH)
        self._seen = self._ffi.new("hf_observation *")
        self._seen_bytes = self._ffi.buffer(self._seen)
        self._packets = self._ffi.new("hf_received[]", KEPT_RECEIVED)

    def _checked(self, result: int) -> int:
        if result >= 0:
            return result
        if result == self._lib.HF_NO_MEMORY:
            raise MemoryError
        raise ValueError(
            "no such handle" if result == self._lib.HF_NO_HANDLE else "an argument is out of range"
        )

    # Peers.

    def open_peer(self) -> int:
        return self._checked(self._lib.hf_open_peer(self._core))

    def set_keys(self, peer: int, profile: Profile, receive: MasterKey, send: MasterKey) -> None:
        for key in (receive, send):
            if len(key.key) != profile.key_bytes or len(key.salt) != profile.salt_bytes:
                raise ValueError("a key does not fit its profile")
        self._checked(
            self._lib.hf_set_keys(self._core, peer, profile, receive.key, receive.salt, send.key, send.salt)
        )

    def set_extensions(self, peer: int, ids: ExtensionIds) -> None:
        check_ids(ids)
        self._checked(self._lib.hf_set_extensions(self._core, peer, bytes(astuple(ids))))

    def route(self, address: bytes, peer: int) -> None:
        self._checked(self._lib.hf_route(self._core, address, len(address), peer))

    def set_address(self, peer: int, address: bytes) -> None:
        self._checked(self._lib.hf_set_address(self._core, peer, address, len(address)))

    def set_pace(self, peer: int, rate: int) -> None:
        check_pace(rate)
        self._checked(self._lib.hf_set_pace(self._core, peer, rate))

    def close_peer(self, peer: int) -> None:
        self._checked(self._lib.hf_close_peer(self._core, peer))

    # Streams and destinations.

    def open_stream(self, peer: int, plan: StreamPlan) -> int:
        check_stream(plan)
        codecs = bytes(value for item in plan.codecs.items() for value in item)
        repairs = bytes(value for item in plan.rtx_types.items() for value in item)
        return self._checked(
            self._lib.hf_open_stream(
                self._core,
                peer,
                plan.ssrc,
                plan.rtx_ssrc,
                plan.clock_rate,
                plan.video,
                plan.group,
                codecs,
                len(plan.codecs),
                repairs,
                len(plan.rtx_types),
            )
        )

    def set_repair_ssrc(self, stream: int, rtx_ssrc: int) -> None:
        self._checked(self._lib.hf_set_repair_ssrc(self._core, stream, rtx_ssrc))

    def set_clock(self, stream: int, sender_time: int, timestamp: int) -> None:
        self._checked(self._lib.hf_set_clock(self._core, stream, sender_time, timestamp))

    def restart_stream(self, stream: int) -> None:
        self._checked(self._lib.hf_restart_stream(self._core, stream))

    def close_stream(self, stream: int) -> None:
        self._checked(self._lib.hf_close_stream(self._core, stream))

    def open_destination(self, peer: int, plan: DestinationPlan) -> int:
        check_destination(plan)
        codecs = bytes(v for codec, types in plan.codecs.items() for v in (codec, *types))
        return self._checked(
            self._lib.hf_open_destination(
                self._core,
                peer,
                plan.ssrc,
                plan.rtx_ssrc,
                plan.clock_rate,
                plan.video,
                codecs,
                len(plan.codecs),
                plan.mid,
                len(plan.mid),
            )
        )

    def aim(
        self, destination: int, stream: int, *, spatial: int = 7, temporal: int = 7, cut: bool = False
    ) -> None:
        self._checked(self._lib.hf_aim(self._core, destination, stream, spatial, temporal, cut))

    def close_destination(self, destination: int) -> None:
        self._checked(self._lib.hf_close_destination(self._core, destination))

    # Packets.

    def receive(self, fd: int, now: int) -> Sequence[Record]:
        return self._batch(max(self._lib.hf_receive(self._core, fd, now), 0))

    def deliver(self, data: bytes, address: bytes, now: int) -> Sequence[Record]:
        return self._batch(
            self._checked(self._lib.hf_deliver(self._core, data, len(data), address, len(address), now))
        )

    def _batch(self, count: int) -> list[Record]:
        self._count = count
        if not count:
            return []
        packed = self._ffi.buffer(self._records, count * RECORD.size)
        return list(map(Record._make, RECORD.iter_unpack(packed)))

    def adopt(self, index: int, stream: int, now: int) -> Record:
        self._checked(self._lib.hf_adopt(self._core, index, stream, now))
        packed = self._ffi.buffer(self._records + index, RECORD.size)
        return Record._make(RECORD.unpack(packed))

    def packet(self, index: int) -> bytes:
        size = self._checked(self._lib.hf_packet(self._core, index, self._data))
        return bytes(self._ffi.buffer(self._data[0], size))

    def address(self, index: int) -> bytes:
        size = self._checked(self._lib.hf_address(self._core, index, self._address))
        return bytes(self._ffi.buffer(self._address[0], size))

    def forward(self, verdicts: bytes, now: int) -> None:
        self._checked(self._lib.hf_forward(self._core, verdicts, len(verdicts), now))

    def repair(self, destination: int, sequences: Sequence[int], now: int) -> int:
        wanted = self._ffi.new("uint16_t[]", [number & 0xFFFF for number in sequences])
        return self._checked(self._lib.hf_repair(self._core, destination, wanted, len(sequences), now))

    def probe(self, peer: int, size: int, cluster: int, now: int) -> int:
        return self._checked(self._lib.hf_probe(self._core, peer, size, cluster, now))

    def send_rtp(self, peer: int, packet: bytes, now: int) -> None:
        self._checked(self._lib.hf_send_rtp(self._core, peer, packet, len(packet), now))

    def send_rtcp(self, peer: int, packet: bytes, now: int) -> None:
        self._checked(self._lib.hf_send_rtcp(self._core, peer, packet, len(packet), now))

    def send_raw(self, peer: int, data: bytes) -> None:
        self._checked(self._lib.hf_send_raw(self._core, peer, data, len(data)))

    def send_to(self, address: bytes, data: bytes) -> None:
        self._checked(self._lib.hf_send_to(self._core, address, len(address), data, len(data)))

    def flush(self, fd: int, now: int) -> int:
        return self._checked(self._lib.hf_flush(self._core, fd, now))

    def next_flush(self, now: int) -> int:
        return int(self._lib.hf_next_flush(self._core, now))

    def take(self) -> list[tuple[bytes, bytes]]:
        taken = []
        buffer, sizes = self._ffi.buffer, self._sizes
        while self._lib.hf_take(self._core, self._address, sizes, self._data, sizes + 1):
            taken.append((bytes(buffer(self._address[0], sizes[0])), bytes(buffer(self._data[0], sizes[1]))))
        return taken

    # What happened.

    def arrivals(self, peer: int) -> list[tuple[int, int]]:
        numbers, times = self._ffi.new("uint16_t[]", ARRIVALS), self._ffi.new("int64_t[]", ARRIVALS)
        count = self._checked(self._lib.hf_arrivals(self._core, peer, numbers, times, ARRIVALS))
        return (
            list(zip(self._ffi.unpack(numbers, count), self._ffi.unpack(times, count), strict=True))
            if count
            else []
        )

    def sent(self, peer: int, first: int, count: int) -> list[SentPacket | None]:
        if not 0 <= count <= 0xFFFF:
            raise ValueError("a feedback tells of 65,535 packets at most")
        new = self._ffi.new
        times, sizes = new("int64_t[]", count), new("uint16_t[]", count)
        clusters = new("uint32_t[]", count)
        self._checked(self._lib.hf_sent(self._core, peer, first, count, times, sizes, clusters))
        unpack = self._ffi.unpack
        columns = zip(unpack(times, count), unpack(sizes, count), unpack(clusters, count), strict=True)
        return [SentPacket(*column) if column[1] else None for column in columns]

    def feedback(self, peer: int, packet: bytes, now: int) -> None:
        self._checked(self._lib.hf_feedback(self._core, peer, packet, len(packet), now))

    def listen(self, peer: int, attention: Attention) -> None:
        self._checked(self._lib.hf_listen(self._core, peer, *attention))

    def heard(self) -> list[int]:
        count = self._lib.hf_heard(self._core, self._heard, BATCH)
        return list(self._ffi.unpack(self._heard, count)) if count else []

    def observe(self, peer: int, now: int) -> Observation:
        self._checked(self._lib.hf_observe(self._core, peer, now, self._seen, self._packets))
        *counts, usage, jumped, delays, kept = OBSERVATION.unpack(self._seen_bytes)
        (
            news,
            received,
            lost,
            highest,
            shortest,
            least,
            round_trip,
            through,
            recent,
            jumps,
            trend,
            threshold,
        ) = counts
        packed = (
            RECEIVED.iter_unpack(bytes(self._ffi.buffer(self._packets, kept * RECEIVED.size))) if kept else ()
        )
        return Observation(
            news,
            received,
            lost,
            highest,
            shortest if delays else None,
            least if delays else None,
            round_trip if round_trip >= 0 else None,
            through if through >= 0 else None,
            recent if recent >= 0 else None,
            jumps,
            trend,
            threshold,
            USAGES[usage],
            jumped != 0,
            tuple(map(Received._make, packed)),
        )

    def stream_statistics(self, stream: int) -> StreamStatistics:
        out = self._ffi.new("hf_stream_statistics *")
        self._checked(self._lib.hf_statistics(self._core, stream, out))
        return StreamStatistics(
            out.packets, out.octets, out.base_sequence, out.highest_sequence, out.jitter_q4, out.last_arrival
        )

    def destination_state(self, destination: int) -> DestinationState:
        out = self._ffi.new("hf_destination_state *")
        self._checked(self._lib.hf_state(self._core, destination, out))
        return DestinationState(
            out.stream,
            out.packets,
            out.octets,
            out.timestamp_offset,
            out.last_timestamp,
            out.repairs,
            out.dropped,
            out.last_sequence,
        )

    def counters(self) -> dict[str, int]:
        out = self._ffi.new("int64_t[]", len(COUNTERS))
        self._lib.hf_counters(self._core, out)
        return dict(zip(COUNTERS, self._ffi.unpack(out, len(COUNTERS)), strict=True))

    def floor(self, peers: Sequence[int], packets: Sequence[bytes], fd: int) -> int:
        """The machine's floor, for benches: each packet sealed for each peer and sent, nothing else."""
        handles = self._ffi.new("int[]", list(peers))
        sizes = self._ffi.new("int[]", [len(packet) for packet in packets])
        return self._checked(
            self._lib.hf_floor(self._core, handles, len(peers), b"".join(packets), sizes, len(packets), fd)
        )

    def close(self) -> None:
        core, self._core = self._core, None
        if core is not None:
            self._ffi.release(core)
