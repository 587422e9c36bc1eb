"""VP8 and H.264 to pictures, one frame in, one picture out, nothing held back."""

from __future__ import annotations

from typing import Literal

import av
import av.error
from av.codec.context import Flags

from client.media.codec.errors import CodecError
from client.media.picture import Picture

VideoCodecName = Literal["VP8", "H264"]
#: A frame that claims to be larger is refused before memory is taken for it.
MAX_PIXELS = 4096 * 2304


class VideoDecoder:
    """Decodes the frames of one stream in order. Not for several threads at once."""

    def __init__(self, codec: VideoCodecName) -> None:
        if codec not in ("VP8", "H264"):
            raise ValueError(f"no decoder for {codec}")
        self.codec = codec
        context = av.CodecContext.create("vp8" if codec == "VP8" else "h264", "r")
        # Frame threads would hold pictures back; a call has many streams, each thread decodes one.
        context.thread_count = 1
        context.flags |= Flags.low_delay
        context.options = {"max_pixels": str(MAX_PIXELS)}
        self._context = context

    def decode(self, data: bytes, captured_at: float) -> Picture | None:
        """The picture of one complete frame (Annex B for H.264), or None if the frame shows none.

        `captured_at` goes into the picture as it is. Raises CodecError for data that is no valid frame; go on
        with the next key frame then.
        """
        if not data:
            raise CodecError("an empty frame")
        try:
            frames = self._context.decode(av.Packet(data))
        except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
            raise CodecError(f"{self.codec}: {error}") from error
        return Picture.from_av(frames[-1], captured_at) if frames else None
