"""What real encoders make travels through packets and decodes again."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import av
import pytest
from av.video.frame import PictureType

from rtc.rtp import RtpPacket
from rtc.streams import ReceiveStream, SendStream

OPTIONS = {
    "libvpx": {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"},
    "libx264": {"preset": "ultrafast", "tune": "zerolatency"},
}


def encode(encoder: str, count: int, key_frame_at: int) -> list[bytes]:
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 160, 90, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.bit_rate = 500_000
    context.gop_size = 1000
    context.options = OPTIONS[encoder]
    frames = []
    for index in range(count):
        picture = av.VideoFrame(160, 90, "yuv420p")
        for number, plane in enumerate(picture.planes):
            plane.update(bytes((index * 9 + number * 50 + i) & 0xFF for i in range(plane.buffer_size)))
        picture.pts = index
        if index == key_frame_at:
            picture.pict_type = PictureType.I
        frames += [bytes(packet) for packet in context.encode(picture)]
    return frames


@pytest.mark.parametrize(
    ("codec", "encoder", "decoder"), [("VP8", "libvpx", "vp8"), ("H264", "libx264", "h264")]
)
def test_pictures_travel(codec: Literal["VP8", "H264"], encoder: str, decoder: str) -> None:
    frames = encode(encoder, 12, key_frame_at=7)
    assert len(frames) == 12
    sender = SendStream(1, 96, 90000, mid="0", mid_extension_id=1, cname="me", codec=codec, max_payload=300)
    receiver = ReceiveStream("video", {96: codec}, 1, 90000, rtcp_ssrc=9)
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    shown, pictures = [], 0
    for index, data in enumerate(frames):
        for datagram in sender.video_frame(data, index * 3000, index == 0, index / 30)[::-1]:
            if index == 4:  # a whole frame is lost: the key frame at 7 must bring the stream back
                continue
            shown += receiver.handle_rtp(RtpPacket.parse(datagram), index / 30)
    for frame in shown:
        pictures += len(context.decode(av.Packet(frame.data)))
    pictures += len(context.decode(None))
    assert [frame.key_frame for frame in shown] == [
        True,
        False,
        False,
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    assert pictures == 9
