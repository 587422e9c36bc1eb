"""The encoder as the studio uses it: opened for what is wanted, no faster than wanted."""

from __future__ import annotations

from client.media.codec.video_encoder import EncodedPicture, VideoEncoder, default_bitrate
from client.media.picture import Picture
from client.studio.messages import EncodeVideo


class PictureEncoder:
    """Follows the wanted size, rate and bitrate. Belongs to one thread."""

    def __init__(self) -> None:
        self._encoder: VideoEncoder | None = None
        self._next_due = 0.0

    def due(self, picture: Picture, wanted: EncodeVideo) -> bool:
        """Whether this picture is to be sent, or left out because the source is faster than wanted.

        A picture may come early by a third of the period: capture jitters, and 30 wanted of 30 are 30.
        """
        period = 1.0 / max(1.0, wanted.fps)
        at = picture.captured_at
        if at < self._next_due - period / 3.0 and self._next_due - at < 2.0 * period:
            return False
        self._next_due = max(self._next_due + period, at + period / 2.0)
        return True

    def encode(self, picture: Picture, wanted: EncodeVideo, key_frame: bool) -> EncodedPicture:
        """Compress. Raises CodecError."""
        bitrate = wanted.bitrate or default_bitrate(wanted.width, wanted.height)
        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height, encoder.fps) != (
            wanted.width,
            wanted.height,
            wanted.fps,
        ):
            encoder = self._encoder = VideoEncoder(wanted.width, wanted.height, wanted.fps, bitrate)
        encoder.set_bitrate(bitrate)
        return encoder.encode(picture, key_frame)
