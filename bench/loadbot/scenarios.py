"""What the members of a load do, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from server_lite.loudest import LARGE_ROOM, VOICES

#: Sound: packets of 20 ms, about 32 kbit/s.
SOUND_INTERVAL: Final = 0.02
SOUND_BYTES: Final = 80


@dataclass(frozen=True, slots=True)
class Encoding:
    """One layer of a camera; bit/s, pictures per second, pixels."""

    bitrate: int
    fps: float
    height: int

    @property
    def frame_bytes(self) -> int:
        return int(self.bitrate / 8 / self.fps)


SMALL: Final = Encoding(150_000, 15.0, 180)
MIDDLE: Final = Encoding(500_000, 30.0, 360)
LARGE: Final = Encoding(1_500_000, 30.0, 720)


@dataclass(frozen=True, slots=True)
class Camera:
    """What a camera sends, lowest first. `naming`: several streams named by `rid` as browsers do, by `sim`
    (SSRCs) as our client does, or one stream that has all (`svc`, with a dependency descriptor)."""

    encodings: tuple[Encoding, ...]
    naming: Literal["sim", "rid", "svc"] = "sim"
    codec: Literal["VP8", "VP9", "AV1"] = "VP8"
    temporal: bool = True  # three temporal layers


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls the path of the last member, between two times (seconds from when all is flowing)."""

    begin: float
    end: float
    loss: float = 0.0  # share of the datagrams, both ways
    rate: int = 0  # bit/s that come through to the member, 0 without limit
    queue_s: float = 0.3  # seconds at that rate that may wait; what is over is lost
    moves_to: str = ""  # address from which the member goes on at `begin`


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load. `joins_per_second` None for all at once; `turn_seconds` how long each of the first
    two speaks, None: the first all the time. `cameras`: members whose pictures are shown, None for all."""

    words: str
    camera: Camera | None = None
    joins_per_second: float | None = 20.0
    turn_seconds: float | None = None
    cameras: int | None = None
    #: Who sends all layers; the others send the lowest only, as clients do whose others nobody wants.
    full_cameras: int | None = None
    #: The speaker is shown large, the others small (heights in pixels).
    sizes: tuple[int, int] | None = None
    #: Sections for whoever is loud, instead of one for each microphone.
    voice_sections: int = 0
    red: bool = False
    trouble: Trouble | None = None
    #: Members that talk softly all the time, besides the one who speaks.
    talkers: int = 1
    #: Findings that are no fault here.
    tolerated: frozenset[str] = field(default_factory=frozenset)

    def speaker(self, now: float, publishers: int) -> int:
        """Which of the publishers (0, 1, ...) speaks at `now`, in seconds of the shared monotonic clock."""
        if self.turn_seconds is None or publishers < 2:
            return 0
        return int(now / self.turn_seconds) % 2

    def talking(self, publishers: int) -> frozenset[int]:
        """Who is ever to be heard in a large room."""
        turns = 2 if self.turn_seconds is not None else 1
        return frozenset(range(min(publishers, max(turns, self.talkers))))

    def shown(self, publishers: int) -> int:
        """Cameras that are received: those of members 0, 1, ..."""
        if self.camera is None:
            return 0
        return publishers if self.cameras is None else min(self.cameras, publishers)

    def heard(self, number: int, publishers: int) -> int:
        """Voices that a member should get: all in small rooms, in large ones those that are loud."""
        if publishers > LARGE_ROOM:
            return min(VOICES, len(self.talking(publishers) - {number}))
        return publishers - (number < publishers)

    def expected(self, number: int, publishers: int) -> int:
        """Streams that a member should get."""
        shown = self.shown(publishers)
        return shown - (number < shown) + self.heard(number, publishers)

    def sections(self, publishers: int) -> int:
        """Receiving sections of one member at most."""
        return self.shown(publishers) + (self.voice_sections or publishers)

    def encodings(self, number: int) -> tuple[Encoding, ...]:
        """What member `number` sends of its camera."""
        if self.camera is None:
            return ()
        full = self.full_cameras is None or number < self.full_cameras
        return self.camera.encodings if full else self.camera.encodings[:1]


_SMALL_PICTURE: Final = Camera((SMALL,))
_THREE_LAYERS: Final = Camera((SMALL, MIDDLE, LARGE))
#: Of a lossy path: numbers have gaps and come late, which repairs and key frames mend.
_LOSSY: Final = frozenset(
    (
        "lost",
        "repaired",
        "reordered",
        "skipped_frames",
        "incomplete_frames",
        "undecodable_frames",
        "duplicates",
    )
)

SCENARIOS: Final[dict[str, Scenario]] = {
    "quiet": Scenario("sound only, one member speaks", red=True),
    "everybody": Scenario("all send sound and a small picture", _SMALL_PICTURE),
    "join-storm": Scenario(
        "all join in the same moment, then as everybody", _SMALL_PICTURE, joins_per_second=None
    ),
    "speaker-ping-pong": Scenario(
        "two members take turns of two seconds, all send a small picture", _SMALL_PICTURE, turn_seconds=2.0
    ),
    "layers": Scenario(
        "cameras in three layers named by rid; the speaker is shown large, the others small",
        Camera((SMALL, MIDDLE, LARGE), "rid"),
        turn_seconds=4.0,
        sizes=(720, 180),
    ),
    "meeting": Scenario(
        "cameras in three layers named by SSRC, all shown in the middle size",
        _THREE_LAYERS,
        joins_per_second=40.0,
        sizes=(360, 360),
    ),
    "svc-vp9": Scenario(
        "one VP9 stream in 3x3 layers with descriptors; the speaker is shown large",
        Camera((SMALL, MIDDLE, LARGE), "svc", "VP9"),
        turn_seconds=4.0,
        sizes=(720, 180),
    ),
    "svc-av1": Scenario(
        "one AV1 stream in 3x3 layers with descriptors; the speaker is shown large",
        Camera((SMALL, MIDDLE, LARGE), "svc", "AV1"),
        turn_seconds=4.0,
        sizes=(720, 180),
    ),
    "loss5": Scenario(
        "the last member's path loses 5 % both ways",
        Camera((MIDDLE,)),
        trouble=Trouble(0.0, 1e9, loss=0.05),
        tolerated=_LOSSY,
    ),
    "slow-receiver": Scenario(
        "the last member's path takes 300 kbit/s for some seconds; the first is shown large",
        _THREE_LAYERS,
        sizes=(720, 180),
        trouble=Trouble(4.0, 12.0, rate=300_000),
    ),
    "wifi-to-cable": Scenario(
        "the last member goes on from another address",
        _SMALL_PICTURE,
        trouble=Trouble(3.0, 3.0, moves_to="127.0.0.2"),
    ),
    "conference": Scenario(
        "ten are shown, the speaker large and the others small; the loudest three are heard",
        _THREE_LAYERS,
        turn_seconds=10.0,
        cameras=10,
        full_cameras=2,
        sizes=(720, 180),
        voice_sections=VOICES,
        talkers=3,
    ),
    "forwarding": Scenario(
        "what the bench sfu sends: 1.5 Mbit/s of pictures, and sound",
        Camera((LARGE,), temporal=False),
        joins_per_second=40.0,
    ),
}
