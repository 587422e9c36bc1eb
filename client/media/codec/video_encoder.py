"""VP8 for calls: libvpx in real time, key frames on demand only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from client.media.codec.errors import CodecError
from client.media.fit import fill_picture
from client.media.picture import Picture

#: RTP clock of video (RFC 7741, section 4.1).
CLOCK_RATE = 90_000
_TIME_BASE = Fraction(1, CLOCK_RATE)
#: No periodic key frames: a new viewer asks for one.
_NEVER = 1_000_000
MIN_BITRATE, MAX_BITRATE = 50_000, 20_000_000


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A compressed picture; `timestamp_90k` is its RTP timestamp: `captured_at` on a 90 kHz clock."""

    data: bytes
    key_frame: bool
    captured_at: float
    timestamp_90k: int


def default_bitrate(width: int, height: int) -> int:
    """Bits per second that look good: 250 k at 320x180, 700 k at 640x360, 1.8 M at 1280x720."""
    pixels = width * height
    for limit, bitrate in (
        (320 * 180, 250_000),
        (640 * 360, 700_000),
        (960 * 540, 1_200_000),
        (1280 * 720, 1_800_000),
    ):
        if pixels <= limit:
            return bitrate
    return 3_500_000


def timestamp_90k(captured_at: float) -> int:
    """The RTP timestamp of a moment of the monotonic clock."""
    return round(captured_at * CLOCK_RATE) & 0xFFFF_FFFF


class VideoEncoder:
    """A VP8 encoder for one size. Not for several threads at once.

    `bitrate` in bits per second; None takes `default_bitrate`. Changing it opens libvpx anew, and the next
    picture is a key frame: change it seldom and in steps of at least a tenth.
    """

    def __init__(self, width: int, height: int, fps: float = 30.0, bitrate: int | None = None) -> None:
        if not (16 <= width <= 4096 and 16 <= height <= 4096):
            raise ValueError(f"a picture of {width}x{height} cannot be encoded")
        self.width = width
        self.height = height
        self.fps = fps
        self.bitrate = _clamped(bitrate or default_bitrate(width, height))
        self._codec: VideoCodecContext | None = None
        self._last_pts = -1

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at `bitrate` bits per second from the next picture on; a change within a tenth is ignored."""
        bitrate = _clamped(bitrate)
        if abs(bitrate - self.bitrate) * 10 > self.bitrate:
            self.bitrate = bitrate
            self._codec = None

    def encode(self, picture: Picture, key_frame: bool = False) -> EncodedPicture:
        """Compress one picture (scaled first if its size differs). Raises CodecError."""
        frame = fill_picture(picture, self.width, self.height).to_av()
        # Rate control wants time that moves on, even if two pictures claim the same moment.
        pts = max(self._last_pts + 1, round(picture.captured_at * CLOCK_RATE))
        self._last_pts = pts
        frame.pts = pts
        frame.time_base = _TIME_BASE
        frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        try:
            codec = self._codec or self._opened()
            packets = codec.encode(frame)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._codec = None
            raise CodecError(f"libvpx refused a picture: {error}") from error
        if not packets:
            raise CodecError("libvpx gave nothing for a picture")
        data = b"".join(bytes(packet) for packet in packets)
        return EncodedPicture(data, packets[0].is_keyframe, picture.captured_at, pts & 0xFFFF_FFFF)

    def close(self) -> None:
        """Free the encoder; the next `encode` opens it again."""
        self._codec = None

    def _opened(self) -> VideoCodecContext:
        codec = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height = self.width, self.height
        codec.pix_fmt = "yuv420p"
        codec.time_base = _TIME_BASE
        codec.framerate = Fraction(self.fps).limit_denominator(1001)
        codec.bit_rate = self.bitrate
        codec.gop_size = _NEVER
        codec.qmin, codec.qmax = 2, 56
        codec.thread_count = _threads(self.width, self.height)
        codec.options = _options(self.bitrate)
        codec.open()
        self._codec = codec
        return codec


def _options(bitrate: int) -> dict[str, str]:
    return {
        "deadline": "realtime",
        # Higher costs less time and more bits: at -8 640x360 takes a half of the time of -4.
        "cpu-used": "-8",
        "lag-in-frames": "0",
        "noise-sensitivity": "0",
        "static-thresh": "1",
        "slices": "1",
        "auto-alt-ref": "0",
        # Equal distances switch libvpx's own key frames at scene cuts off: they come as bursts.
        "keyint_min": str(_NEVER),
        # minrate = maxrate = bit rate is how FFmpeg asks libvpx for constant bit rate.
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        # One second of buffer: libvpx may overdraw it for a key frame, then saves.
        "bufsize": str(bitrate),
        "undershoot-pct": "100",
        "overshoot-pct": "15",
    }


def _threads(width: int, height: int) -> int:
    """Threads of libvpx: small pictures gain nothing from a second one, and the call needs the cores."""
    cores = os.cpu_count() or 1
    if width * height <= 640 * 480 or cores < 4:
        return 1
    return 2 if width * height <= 1280 * 960 else 4


def _clamped(bitrate: int) -> int:
    return max(MIN_BITRATE, min(MAX_BITRATE, int(bitrate)))
