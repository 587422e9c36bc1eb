"""What a call has measured, as values for reports."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MemberStatistics:
    """What came from one member. Times in milliseconds; None while there is nothing to say.

    `join_to_first_frame_ms` counts from our click on Join, or from the member's coming if that was later, to
    the first decoded picture.
    """

    name: str
    frames_received: int = 0
    frames_decoded: int = 0
    decode_errors: int = 0
    audio_packets: int = 0
    audio_level_dbfs: float | None = None
    join_to_first_frame_ms: float | None = None
    packets_lost: int = 0
    packets_recovered: int = 0


@dataclass(frozen=True, slots=True)
class CallStatistics:
    """All members by id, members who left too, and the path."""

    members: dict[str, MemberStatistics] = field(default_factory=dict)
    cipher: str = ""
    join_ms: float | None = None  # from the click on Join to the path being up
