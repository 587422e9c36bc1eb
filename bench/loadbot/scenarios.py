"""What the members of a load do, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Sound: packets of 20 ms, about 32 kbit/s.
SOUND_INTERVAL: Final = 0.02
SOUND_BYTES: Final = 80


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load. `video_bitrate` in bit/s, 0 for none; `joins_per_second` None for all at once."""

    words: str
    video_bitrate: int = 0
    fps: float = 30.0
    joins_per_second: float | None = 20.0
    turn_seconds: float | None = (
        None  # how long each of the two speakers speaks; None: the first all the time
    )

    @property
    def streams(self) -> int:
        """Streams of one publisher."""
        return 2 if self.video_bitrate else 1

    @property
    def frame_bytes(self) -> int:
        return int(self.video_bitrate / 8 / self.fps)

    def speaker(self, now: float, publishers: int) -> int:
        """Which of the publishers (0, 1, ...) speaks at `now`, in seconds of the shared monotonic clock."""
        if self.turn_seconds is None or publishers < 2:
            return 0
        return int(now / self.turn_seconds) % 2


SCENARIOS: Final[dict[str, Scenario]] = {
    "quiet": Scenario("sound only, one member speaks"),
    "everybody": Scenario("all send sound and a small picture", video_bitrate=150_000, fps=15.0),
    "join-storm": Scenario(
        "all join in the same moment, then as everybody", 150_000, fps=15.0, joins_per_second=None
    ),
    "speaker-ping-pong": Scenario(
        "two members take turns of two seconds, all send a small picture", 150_000, fps=15.0, turn_seconds=2.0
    ),
    "forwarding": Scenario("what the bench sfu sends: 1.5 Mbit/s of pictures, and sound", 1_500_000),
}
