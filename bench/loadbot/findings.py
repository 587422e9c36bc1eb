"""What was found in streams: counts that add up over streams, members and processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Final

#: These are the worst of all, the others are sums.
_WORST: Final = frozenset(("longest_gap_ms", "key_frame_wait_ms"))

#: What a busy machine does to those who are coming in; counted from when all are there.
_FROM_BEGIN: Final = (
    "lost",
    "repaired",
    "reordered",
    "duplicates",
    "incomplete_frames",
    "undecodable_frames",
    "skipped_frames",
    "thinned_frames",
    "paused_frames",
    "clock_jumps",
)


@dataclass(slots=True)
class Findings:
    """Counts over one stream, or summed over many."""

    streams: int = 0
    packets: int = 0
    lost: int = 0  # gaps in the sequence numbers that nothing filled
    repaired: int = 0  # gaps that a retransmission filled
    reordered: int = 0  # came later than a packet with a higher number
    duplicates: int = 0
    probes: int = 0  # repeats that nobody asked for, by which the server measures the path
    malformed: int = 0
    frames: int = 0  # whole pictures (of each spatial layer), or packets of sound
    incomplete_frames: int = 0
    undecodable_frames: int = 0  # whole, but what they refer to did not come
    skipped_frames: int = 0  # by the sender's own count, also where the sequence numbers hide it
    thinned_frames: int = 0  # the same, of higher temporal layers: left out on purpose
    paused_frames: int = 0  # the same, before a key frame: the server sent nothing for a while
    backward_frames: int = 0  # by the sender's own count: out of order
    picture_id_jumps: int = 0  # picture ids, TL0PICIDX or frame numbers that do not go on
    clock_jumps: int = 0  # timestamps that do not go on as the sender's clock does
    bad_switches: int = 0  # from layer to layer without a key frame
    unstamped: int = 0
    wrong_sender: int = 0
    not_from_key_frame: int = 0  # streams of pictures that began in the middle
    longest_gap_ms: float = 0.0  # between two frames that could be shown
    key_frame_wait_ms: float = 0.0  # from asking for a key frame to showing it

    def since(self, before: Findings) -> Findings:
        """Without what was lost and spoiled until `before`."""
        return replace(self, **{name: getattr(self, name) - getattr(before, name) for name in _FROM_BEGIN})

    def add(self, other: Findings) -> None:
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name in _WORST else mine + value)
