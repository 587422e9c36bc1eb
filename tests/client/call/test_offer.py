"""What is offered: sections that keep their place, mids that are never used twice, and a bounded size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.call.offer import ReceiveSections, SendSources, build_offer
from client.call.places import LOUD, MAX_RECEIVING, OWN_VOICES, VOICE, is_loud
from rtc.sdp import SessionDescription, TransportParameters
from rtc.signalling import MAX_MESSAGE_BYTES, dump_message, media

SOURCES = SendSources(4000000001, 4000000002, 4000000003, cname="h12345678")
TRANSPORT = TransportParameters("abcdefgh", "p" * 24, ("sha-256", ":".join(["AB"] * 32)), "active")


def producer(number: int) -> media.Producer:
    """Even numbers are microphones, odd ones cameras."""
    kind: media.Kind = "video" if number % 2 else "audio"
    return media.Producer(
        id=f"pabcdefghi{number}",
        member=f"mabcdefghi{number // 2}",
        kind=kind,
        source="camera" if number % 2 else "microphone",
    )


def parsed(sections: ReceiveSections) -> SessionDescription:
    return SessionDescription.parse(str(build_offer(TRANSPORT, SOURCES, sections)))


def test_alone_only_what_is_sent_is_offered() -> None:
    sections = ReceiveSections()
    assert not sections.want([])
    offer = parsed(sections)
    assert [(s.mid, s.kind, s.direction) for s in offer.sections] == [
        ("mic", "audio", "sendonly"),
        ("cam", "video", "sendonly"),
    ]
    microphone, camera = offer.sections
    assert microphone.ssrcs == [SOURCES.microphone]
    assert (camera.ssrcs, camera.rtx) == (
        [SOURCES.camera, SOURCES.camera_rtx],
        {SOURCES.camera: SOURCES.camera_rtx},
    )
    vp8 = camera.codec("VP8")
    assert vp8 is not None
    assert camera.rtx_for(vp8.payload_type) is not None
    assert offer.transport.setup == "active"


def test_a_section_is_used_again_under_a_new_mid() -> None:
    sections = ReceiveSections()
    sections.want([producer(0), producer(1), producer(2)])
    assert [s.mid for s in parsed(sections).sections[2:]] == ["r1", "r2", "r3"]
    sections.want([producer(0), producer(2)])
    offer = parsed(sections)
    assert [(s.mid, s.rejected) for s in offer.sections[2:]] == [("r1", False), ("r2", True), ("r3", False)]
    sections.want([producer(0), producer(2), producer(4)])
    offer = parsed(sections)
    assert [(s.mid, s.rejected, s.kind) for s in offer.sections[2:]] == [
        ("r1", False, "audio"),
        ("r4", False, "audio"),
        ("r3", False, "audio"),
    ]


def test_an_offer_is_needed_until_one_was_answered() -> None:
    sections = ReceiveSections()
    assert sections.want([producer(0)])
    layout = sections.layout()
    assert sections.want([producer(0)]), "the offer was lost or refused"
    sections.agreed(layout)
    assert not sections.want([producer(0)])
    assert sections.want([])
    assert sections.want([producer(0)]), "gone and back again has another mid"


@pytest.mark.parametrize("members", [25, 32, 36, 60])
def test_a_large_meeting_fits_into_one_message(members: int) -> None:
    sections = ReceiveSections()
    sections.want([producer(n) for n in range(2 * members)])
    sdp = str(build_offer(TRANSPORT, SOURCES, sections))
    assert len(sdp) < 62_000
    chosen = sections.by_mid()
    assert len(chosen) == (2 * members if members <= 32 else min(OWN_VOICES + 3 + members, MAX_RECEIVING))
    offer = media.Offer(
        id=2**31 - 1,
        sdp=sdp,
        send=[media.Sending(mid="mic", source="microphone"), media.Sending(mid="cam", source="camera")],
        receive=[
            media.Receiving(mid=mid, producer=VOICE if is_loud(p) else p.id) for mid, p in chosen.items()
        ],
    )
    assert len(dump_message(offer).encode()) <= MAX_MESSAGE_BYTES
    assert len(SessionDescription.parse(sdp).sections) == len(chosen) + 2


@pytest.mark.parametrize("others", [33, 60, 99])
def test_in_a_meeting_that_is_too_large_everybody_is_heard(others: int) -> None:
    sections = ReceiveSections()
    views = [producer(n) for n in range(2 * others)]
    voices = [p.id for p in views if p.kind == "audio"]
    sections.want([p for p in views if p.kind == "video"])  # pictures came first and took all places
    assert sections.want(views)
    chosen = [p.id for p in sections.by_mid().values()]
    heard = [p for p in chosen if p in voices or p.startswith("*")]
    assert sorted(heard) == sorted([*voices[:OWN_VOICES], *(p.id for p in LOUD)])
    assert len(chosen) == len(set(chosen)) == min(MAX_RECEIVING, len(heard) + others)
    offer = parsed(sections)
    assert sum(s.kind == "audio" and s.direction == "recvonly" for s in offer.sections) == len(heard)


def test_the_largest_meeting_that_fits_has_a_section_for_everything() -> None:
    sections = ReceiveSections()
    views = [producer(n) for n in range(MAX_RECEIVING)]
    sections.want(views)
    assert list(sections.by_mid().values()) == views
    voices = [producer(2 * n) for n in range(MAX_RECEIVING)]
    sections.want(voices)
    assert not any(is_loud(p) for p in sections.by_mid().values())


def test_pictures_that_are_shown_come_first_and_change_as_little_as_possible() -> None:
    sections = ReceiveSections()
    views = [producer(n) for n in range(2 * 50)]
    pictures = [p for p in views if p.kind == "video"]
    room = MAX_RECEIVING - OWN_VOICES - len(LOUD)

    def taken() -> set[str]:
        return {p.id for p in sections.by_mid().values() if p.kind == "video"}

    sections.want(views)
    assert taken() == {p.id for p in pictures[:room]}
    layout = sections.layout()
    late, hidden = pictures[-1], pictures[3]
    rank = {late.id: 0, hidden.id: 3}
    sections.want(views, lambda p: rank.get(p.id, 1))
    assert taken() == {p.id for p in pictures[:room] if p is not hidden} | {late.id}
    moved = [mid for mid, _ in layout if mid not in dict(sections.layout())]
    assert len(moved) == 1
    sections.want(views)
    assert late.id in taken(), "who has a section keeps it while nobody else is wanted more"


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sets(st.integers(0, 60), max_size=40), st.booleans()), max_size=8))
def test_sections_keep_their_place_and_no_mid_returns(steps: list[tuple[set[int], bool]]) -> None:
    sections = ReceiveSections()
    before: list[tuple[str, str | None]] = []
    belonged: dict[str, str] = {}  # mid -> producer, for ever
    agreed: tuple[tuple[str, str | None], ...] = ()
    for numbers, answered in steps:
        wanted = [producer(n) for n in sorted(numbers)]
        needed = sections.want(wanted)
        layout = sections.layout()
        assert needed == (layout != agreed)
        assert {p for _, p in layout if p is not None} == {p.id for p in wanted}
        assert len(layout) >= len(before)
        for (old_mid, old_producer), (mid, owner) in zip(before, layout, strict=False):
            if old_producer is not None and old_producer == owner:
                assert mid == old_mid, "who stays keeps section and mid"
        for mid, owner in layout:
            if owner is not None:
                assert belonged.setdefault(mid, owner) == owner, "a mid is never another's"
        offer = parsed(sections)
        assert [s.mid for s in offer.sections] == ["mic", "cam", *(mid for mid, _ in layout)]
        for section, (_, slot) in zip(offer.sections[2:], sections.kinds(), strict=True):
            assert section.rejected == (slot is None)
            if slot is not None:
                assert (section.kind, section.direction) == (slot.kind, "recvonly")
        ssrcs = [ssrc for section in offer.sections for ssrc in section.ssrcs]
        assert sorted(ssrcs) == [SOURCES.microphone, SOURCES.camera, SOURCES.camera_rtx]
        before = list(layout)
        if answered:
            sections.agreed(layout)
            agreed = layout
