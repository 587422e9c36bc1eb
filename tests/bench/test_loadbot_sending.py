"""What light members send: stamps, frame structures, descriptors, repairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.loadbot.formats import RTX_TYPES, VP8, extension_ids, read_as
from bench.loadbot.scenarios import SCENARIOS, Camera
from bench.loadbot.sending import SOUND_MID, VIDEO_MID, Sending
from bench.loadbot.stamp import (
    STAMP_BYTES,
    Stamp,
    opus_packet,
    plain_frame,
    read_stamp,
    redundant,
    vp8_frame,
)
from bench.loadbot.structure import descriptor, place
from client.media.codec import OpusDecoder
from rtc import dependency_descriptor, opus
from rtc.fanout import Codec
from rtc.rtcp import GenericNack, PictureLossIndication
from rtc.rtp import RtpPacket
from rtc.sdp import SessionDescription, TransportParameters
from rtc.vp8 import depacketize, frame_height, is_key_frame
from rtc.vp9 import Vp9Descriptor
from tests.bench.light_streams import THREE, Film, flat


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1e6),
    st.floats(0, 6.5),
    st.booleans(),
    st.lists(st.integers(1, 255), max_size=2),
)
def test_a_stamp_comes_back(
    sender: int, number: int, sent: float, waited: float, key: bool, references: list[int]
) -> None:
    stamp = Stamp(sender, number, sent, waited, 2, 1, key, True, tuple(references))
    for payload in (vp8_frame(stamp, 200), plain_frame(stamp, 200), opus_packet(stamp, 80)):
        found = read_stamp(payload)
        assert found is not None
        assert found._replace(sent=0, waited=0) == stamp._replace(sent=0, waited=0)
        assert found.sent == pytest.approx(sent, abs=1e-6)
        assert found.waited == pytest.approx(waited, abs=1e-4)


def test_no_stamp_is_found_where_there_is_none() -> None:
    assert read_stamp(bytes(100)) is None
    assert read_stamp(opus_packet(Stamp(1, 2, 3.0), 80)[:-1]) is None


@pytest.mark.parametrize("size", [0, 600, 40_000])
def test_the_header_says_whether_it_is_a_key_frame(size: int) -> None:
    key = vp8_frame(Stamp(1, 2, 3.0, key=True), size, 720)
    assert is_key_frame(key)
    assert frame_height(key) == 720
    assert not is_key_frame(vp8_frame(Stamp(1, 2, 3.0), size))
    assert len(key) == max(STAMP_BYTES + 16, size)


def test_stamped_sound_is_opus_of_20_ms() -> None:
    packet = opus_packet(Stamp(1, 2, 3.0), 80)
    assert len(packet) == 80
    assert opus.duration(packet) == 960
    assert np.asarray(OpusDecoder().decode(packet)).size == 960


def test_redundant_sound_ends_with_what_is_new() -> None:
    first, second = (opus_packet(Stamp(1, number, 3.0), 80) for number in (4, 5))
    red = redundant(111, second, first, 960)
    head = int.from_bytes(red[:4], "big")
    assert (head >> 31, head >> 24 & 0x7F, head >> 10 & 0x3FFF, head & 0x3FF) == (1, 111, 960, 80)
    assert red[4] == 111
    assert (red[5:85], red[85:]) == (first, second)
    stamp = read_stamp(red, last=True)
    assert stamp is not None
    assert stamp.number == 5
    assert redundant(111, first, b"", 960) == b"\x6f" + first


@pytest.mark.parametrize("layers", [1, 3])
def test_descriptors_tell_the_layers_that_the_stamps_tell(layers: int) -> None:
    structure: dependency_descriptor.Structure | None = None
    for picture in range(9):
        since = 0 if picture == 0 else (picture - 1) % 4 + 1
        for spatial in range(layers):
            where = place(since, spatial, layers)
            told = descriptor(where.template, picture, layers, first=True, last=True, structure=where.key)
            read = dependency_descriptor.read(told, structure, 511)
            structure = read.structure
            assert (read.spatial, read.temporal) == (spatial, where.temporal)
            assert read.frame_number == picture
    assert structure is not None
    assert structure.targets == tuple((s, t) for s in range(layers) for t in range(3))


def test_what_lower_layers_get_never_refers_to_higher_ones() -> None:
    """For each limit, all references of what passes pass too."""
    for layers in (1, 3):
        kinds = {}
        for picture in range(40):
            since = 0 if picture == 0 else (picture - 1) % 4 + 1
            for spatial in range(layers):
                where = place(since, spatial, layers)
                kinds[picture * layers + spatial] = (spatial, where.temporal)
                for back in where.references:
                    to = kinds[picture * layers + spatial - back]
                    assert to[0] <= spatial
                    assert to[1] <= where.temporal


def test_vp9_says_which_layer_it_is() -> None:
    film = Film(Camera(THREE, "svc", "VP9"), encodings=THREE)
    for packet in flat(film.pictures(5)):
        rtp = RtpPacket.parse(packet)
        read = Vp9Descriptor.parse(rtp.payload)
        assert read.spatial == (rtp.extensions[6][0] & 0x3F) // 4
        assert read.picture_bits == 15


@dataclass
class Sent:
    """Takes packets."""

    rtp: list[bytes] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)

    def send_rtp(self, packets: Sequence[bytes]) -> None:
        self.rtp += packets

    def send_rtcp(self, data: bytes) -> None:
        self.rtcp.append(data)


def test_what_is_asked_for_again_comes_as_rtx() -> None:
    film = Film()
    packets = [RtpPacket.parse(p) for p in flat(film.pictures(3))]
    wanted = packets[3]
    repairs = film.out.repairs((wanted.sequence_number, 1 << 15), RTX_TYPES, film.now)
    assert len(repairs) == 1
    repair = RtpPacket.parse(repairs[0])
    assert (repair.ssrc, repair.payload_type) == (film.out.rtx_ssrc, RTX_TYPES[VP8.payload_type])
    assert repair.payload == wanted.sequence_number.to_bytes(2, "big") + wanted.payload
    assert (repair.timestamp, repair.marker) == (wanted.timestamp, wanted.marker)


def test_repairs_are_limited() -> None:
    film = Film()
    number = RtpPacket.parse(film.picture()[0]).sequence_number
    sent = sum(len(film.out.repairs((number,) * 100, RTX_TYPES, film.now)) for _ in range(10))
    assert sent == 300


def test_a_key_frame_comes_in_the_layer_that_was_asked_for() -> None:
    sending = Sending(0, SCENARIOS["layers"], lambda now: True)
    for encoder in sending.encoders:
        encoder.picture(1.0, 1.0)
    ssrc = sending.encoders[1].out.ssrc
    sending.handle_rtcp([PictureLossIndication(1, ssrc), GenericNack(1, 5, (7,))], 2.0)
    keys = []
    for encoder in sending.encoders:
        payload = RtpPacket.parse(encoder.picture(2.0, 2.0)[0]).payload
        keys.append(is_key_frame(depacketize(payload)[1]))
    assert keys == [False, True, False]


@pytest.mark.parametrize("name", ["quiet", "layers", "slow-receiver", "svc-av1"])
def test_an_offer_says_what_is_sent(name: str) -> None:
    sending = Sending(0, SCENARIOS[name], lambda now: True)
    transport = TransportParameters("abcd", "p" * 22, ("sha-256", ":".join(["AB"] * 32)))
    text = str(SessionDescription(transport, sending.sections()))
    read = SessionDescription.parse(text)
    sound = read.section(SOUND_MID)
    assert sound is not None
    assert sound.codecs[0].name == ("red" if name == "quiet" else "opus")
    video = read.section(VIDEO_MID)
    assert (video is None) == (name == "quiet")
    if video is not None:
        assert video.rids == (["l", "m", "h"] if name == "layers" else [])
        assert len(video.simulcast) == (3 if name == "slow-receiver" else 0)
        codecs, repairs = read_as(video)
        expected = Codec.AV1 if name == "svc-av1" else Codec.VP8
        assert list(codecs.values()) == [expected]
        assert set(repairs.values()) == set(codecs)
    ids = extension_ids(read.sections)
    assert (ids.mid, ids.level, ids.transport_wide) == (1, 2, 5)
