"""Links that become thin, free again or lossy, in virtual time: who is behind one gets what it carries, and
nobody else notices."""

from __future__ import annotations

import pytest

from tests.server_lite.call_of_packets import IDS
from tests.server_lite.thin_link import MS, Meeting, Viewer, first, longest_gap

#: Seconds until everybody has what they show, and what an encoder sends is known.
SETTLED = 6.0


def settled(meeting: Meeting) -> float:
    """Lets everybody get the highest layer; the time it is then."""
    meeting.run(SETTLED)
    assert {viewer.shown[-1].height for viewer in meeting.viewers.values()} == {720}
    return meeting.call.now


def heights(viewer: Viewer, since: float) -> set[int]:
    return {picture.height for picture in viewer.shown if picture.time > since}


@pytest.mark.parametrize("interval", [50 * MS, 100 * MS])
def test_a_thin_link_is_served_low_and_high_again_and_nobody_else_notices(interval: int) -> None:
    meeting = Meeting()
    thin, other = meeting.watch("ben", interval=interval), meeting.watch("cem")
    thinned = settled(meeting)
    thin.capacity = 300_000
    meeting.run(10.0)
    freed = meeting.call.now
    assert first(thin.shown, 180, thinned) < 1.5
    assert longest_gap(thin.shown, thinned + 2, freed) <= 0.5
    assert heights(thin, thinned + 2) == {180}
    thin.capacity = 0
    meeting.run(6.0)
    assert first(thin.shown, 720, freed) < 5.0
    assert longest_gap(thin.shown, freed, meeting.call.now) <= 0.5
    assert heights(other, thinned) == {720}
    assert longest_gap(other.shown, thinned, meeting.call.now) <= 0.1


def test_nothing_is_repaired_that_came_before_the_lower_layer() -> None:
    """Of what was lost when the link became thin, the key frame of the lower layer makes all needless."""
    meeting = Meeting()
    thin = meeting.watch("ben")
    settled(meeting)
    before = meeting.call.router.counters.nacks_answered
    thin.capacity = 300_000
    meeting.run(4.0)
    assert thin.dropped > 20
    assert meeting.call.router.counters.nacks_answered - before < thin.dropped / 2


def test_a_link_that_carries_the_middle_layer_gets_it_and_few_key_frames_are_asked_for() -> None:
    meeting = Meeting()
    thin = meeting.watch("ben")
    thinned = settled(meeting)
    asked = meeting.call.router.counters.key_frames_asked
    thin.capacity = 900_000
    meeting.run(15.0)
    assert heights(thin, thinned + 10) == {360}
    assert longest_gap(thin.shown, thinned + 2, meeting.call.now) <= 0.5
    assert meeting.call.router.counters.key_frames_asked - asked <= 4


def test_sound_passes_a_link_that_is_too_thin_for_any_picture() -> None:
    meeting = Meeting()
    thin = meeting.watch("ben")
    settled(meeting)
    thin.capacity = 90_000
    meeting.run(4.0)
    before = thin.sound
    meeting.run(4.0)
    assert thin.sound - before > 0.9 * 4 * 50
    freed, thin.capacity = meeting.call.now, 0
    meeting.run(12.0)
    assert first(thin.shown, 720, freed) < 5.0


@pytest.mark.parametrize("loss", [0.02, 0.05, 0.1])
def test_losses_freeze_no_picture(loss: float) -> None:
    meeting = Meeting()
    lossy = meeting.watch("ben")
    since = settled(meeting)
    lossy.loss = loss
    meeting.run(15.0)
    assert lossy.dropped > 20
    assert longest_gap(lossy.shown, since, meeting.call.now) <= 0.5
    assert heights(lossy, since) == {720}


def test_nine_pictures_are_sharp_soon_where_the_link_is_free() -> None:
    meeting = Meeting(9, part=0.9)
    viewer = meeting.watch("ben")
    since = meeting.call.now
    meeting.run(4.0)
    parts = [part.shown for part in viewer.parts.values()]
    assert len(parts) == 9
    assert all(first(shown, 720, since) < 3.0 for shown in parts)
    assert all(longest_gap(shown, since + 1, meeting.call.now) <= 0.5 for shown in parts)


def test_who_tells_nothing_gets_the_highest_layer() -> None:
    """Where no feedback was agreed on, there is no reason to send less."""
    meeting = Meeting(ids=IDS)
    silent = meeting.watch("ben", interval=0)
    meeting.run(3.0)
    assert heights(silent, meeting.call.now - 1.0) == {720}


def test_who_agreed_to_tell_and_does_not_gets_less_and_less() -> None:
    meeting = Meeting()
    meeting.watch("ben", interval=0)
    budgets = []
    for _ in range(4):
        meeting.run(2.0)
        budgets.append(meeting.call.router.paths["ben"].downlink.budget)
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[-1] <= 300_000
