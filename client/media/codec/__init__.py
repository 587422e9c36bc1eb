"""Encoders and decoders through PyAV; all of them release the interpreter while they work."""

from client.media.codec.errors import CodecError
from client.media.codec.opus import OpusDecoder, OpusEncoder
from client.media.codec.video_decoder import VideoDecoder
from client.media.codec.video_encoder import EncodedPicture, VideoEncoder, default_bitrate

__all__ = [
    "CodecError",
    "EncodedPicture",
    "OpusDecoder",
    "OpusEncoder",
    "VideoDecoder",
    "VideoEncoder",
    "default_bitrate",
]
