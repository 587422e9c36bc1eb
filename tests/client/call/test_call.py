"""Whole calls over the real server: pictures, sound, switches, and who is here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from client.session.state import Phase
from client.studio import EncodeSound, EncodeVideo, Studio
from tests.client.call.people import Person
from tests.support.server_process import ServerProcess, wait_for

ANN, BEN = 101, 202
LOW, HIGH = 440.0, 1000.0


@pytest.fixture
def couple(server: ServerProcess) -> Iterator[tuple[Person, Person]]:
    """Ann and Ben in a meeting of their own."""
    link = server.open_meeting().link
    with Person("Ann", ANN, LOW) as ann, Person("Ben", BEN, HIGH) as ben:
        ann.call.join(link, "Ann")
        ben.call.join(link, "Ben")
        ann.until_among("Ben")
        ben.until_among("Ann")
        yield ann, ben


def decoders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decode ")]


def test_two_see_and_hear_each_other(couple: tuple[Person, Person]) -> None:
    ann, ben = couple
    ann.until_sees("Ben", BEN, 10)
    ben.until_sees("Ann", ANN, 10)
    ben.until_hears(LOW)
    ann.until_hears(HIGH)
    assert [m.name for m in ann.state.members] == ["Ann", "Ben"]
    assert [m.name for m in ben.state.members] == ["Ben", "Ann"], "me first"
    assert ben.phases == [Phase.FINDING, Phase.JOINING, Phase.SECURING, Phase.IN_CALL]
    counts = ben.call.statistics()
    of_ann = counts.members[ben.other("Ann").id]
    assert of_ann.name == "Ann"
    assert of_ann.frames_received >= of_ann.frames_decoded >= 10
    assert of_ann.decode_errors == 0
    assert of_ann.audio_packets >= 12
    assert of_ann.audio_level_dbfs == pytest.approx(-20.0, abs=3.0)
    assert of_ann.join_to_first_frame_ms is not None
    assert 0 < of_ann.join_to_first_frame_ms < 20_000
    assert counts.join_ms is not None
    assert "GCM" in counts.cipher


def test_a_third_is_seen_by_both_and_leaves(server: ServerProcess) -> None:
    link = server.open_meeting().link
    with Person("Ann", ANN, LOW) as ann, Person("Ben", BEN) as ben:
        for person in (ann, ben):
            person.call.join(link, person.name)
        ann.until_among("Ben")
        ann.until_sees("Ben", BEN)
        with Person("Carl", 303, HIGH) as carl:
            carl.call.join(link, "Carl")
            carl.until_among("Ann", "Ben")
            for person in (ann, ben):
                person.until_among(*({"Ann", "Ben", "Carl"} - {person.name}))
                person.until_sees("Carl", 303)
            carl.until_sees("Ann", ANN)
            carl.until_sees("Ben", BEN)
            gone = ann.other("Carl").id
            carl.call.leave()
            carl.until_phase(Phase.LEFT)
        ann.until_among("Ben")
        ben.until_among("Ann")
        assert gone not in ann.call.mixer.levels()
        assert ann.call.statistics().members[gone].frames_decoded >= 3, "counts of who left stay"
        ann.until_sees("Ben", BEN)
        ben.until_hears(LOW)


def test_a_muted_microphone_is_not_heard(couple: tuple[Person, Person], server: ServerProcess) -> None:
    ann, ben = couple
    ben.until_hears(LOW)
    ann.call.set_microphone(False)
    ben.until("sees that Ann is muted", lambda: not ben.other("Ann").microphone)
    ben.until_silent()
    assert not ann.state.microphone_on
    ann.call.set_microphone(True)
    ben.until_hears(LOW)
    assert ben.other("Ann").microphone


def test_off_means_that_nothing_is_encoded(monkeypatch: pytest.MonkeyPatch, server: ServerProcess) -> None:
    wanted: dict[type, object] = {}
    send = Studio.send

    def note(studio: Studio, command: object) -> None:
        wanted[type(command)] = command
        send(studio, command)  # type: ignore[arg-type]

    monkeypatch.setattr(Studio, "send", note)
    with Person("Ann", ANN, LOW) as ann:
        assert wanted.keys().isdisjoint({EncodeVideo, EncodeSound}), "nobody is there to see it"
        ann.call.join(server.open_meeting().link, "Ann")
        ann.until_phase(Phase.IN_CALL)
        wait_for("encodes", lambda: wanted.get(EncodeVideo) == EncodeVideo(True, 320, 180, 12.0))
        assert wanted[EncodeSound] == EncodeSound(True)
        ann.call.set_camera(False)
        ann.until("camera off", lambda: not ann.state.camera_on)
        assert wanted[EncodeVideo] == EncodeVideo(False, 320, 180, 12.0)
        assert wanted[EncodeSound] == EncodeSound(True)
        ann.call.set_camera(True)
        ann.until("camera on", lambda: ann.state.camera_on)
        assert wanted[EncodeVideo] == EncodeVideo(True, 320, 180, 12.0)
        ann.call.leave()
        ann.until_phase(Phase.LEFT)
        assert wanted[EncodeVideo] == EncodeVideo(False, 320, 180, 12.0)
        assert wanted[EncodeSound] == EncodeSound(False)


def test_a_camera_that_comes_back_is_seen_again(couple: tuple[Person, Person]) -> None:
    ann, ben = couple
    ben.until_sees("Ann", ANN)
    ann.call.set_camera(False)
    ben.until("sees that the camera is off", lambda: not ben.other("Ann").camera)
    ann.call.set_camera(True)
    ben.until("sees that the camera is on", lambda: ben.other("Ann").camera)
    ben.until_sees("Ann", ANN)


def test_what_nobody_looks_at_is_neither_sent_nor_decoded(couple: tuple[Person, Person]) -> None:
    ann, ben = couple
    ann.until_sees("Ben", BEN)
    ben.until_sees("Ann", ANN)
    ann.call.show([])
    ben.call.show([])
    wait_for("no decoder is left", lambda: not decoders())
    of_ann = ben.other("Ann").id

    def received() -> int:
        return ben.call.statistics().members[of_ann].frames_received

    def quiet() -> bool:
        # Half a second of sound goes by, in which Ann's camera makes six pictures.
        before = received()
        ben.until_hears(LOW)
        ben.until_hears(LOW)
        return received() == before

    wait_for("the server sends no pictures", quiet)
    seen = len(ben.marks[of_ann])
    ben.call.show([of_ann])
    ben.until_sees("Ann", ANN)
    assert len(ben.marks[of_ann]) > seen
    assert len(decoders()) == 1, "Ann still looks at nobody"
    ben.call.show([])
    wait_for("no decoder is left", lambda: not decoders())
    ben.call.show(None)
    ben.until_sees("Ann", ANN)


def test_who_comes_while_nobody_looks_is_shown_later(server: ServerProcess) -> None:
    link = server.open_meeting().link
    with Person("Ben") as ben, Person("Ann", ANN, LOW) as ann:
        ben.call.show([])
        ben.call.join(link, "Ben")
        ben.until_phase(Phase.IN_CALL)
        ann.call.join(link, "Ann")
        ben.until_among("Ann")
        ben.until_hears(LOW)
        assert not decoders()
        assert ben.call.statistics().members[ben.other("Ann").id].frames_received == 0
        ben.call.show([ben.other("Ann").id])
        ben.until_sees("Ann", ANN)


def test_levels_have_everybody_and_me(server: ServerProcess) -> None:
    link = server.open_meeting().link
    levels: list[dict[str, float]] = []
    with Person("Ann", 0, LOW) as ann, Person("Ben", on_levels=lambda now: levels.append(dict(now))) as ben:
        ann.call.join(link, "Ann")
        ben.call.join(link, "Ben")
        ben.until_among("Ann")
        of_ann = ben.other("Ann").id
        ben.until("Ann's level", lambda: levels and levels[-1].get(of_ann, 0.0) > 0.3)
        assert levels[-1]["me"] == 0.0
        assert all(0.0 <= value <= 1.0 for each in levels for value in each.values())


def test_another_meeting_after_the_first(server: ServerProcess) -> None:
    first, second = server.open_meeting("First"), server.open_meeting("Second")
    with Person("Ann", ANN) as ann, Person("Ben", BEN) as ben:
        ann.call.join(first.link, "Ann")
        ann.until_phase(Phase.IN_CALL)
        ben.call.join(second.code, "Ben")
        ben.until_phase(Phase.IN_CALL)
        ann.call.join(second.code, "Ann")  # straight from one into the other
        ann.until("the second meeting", lambda: ann.state.title == "Second")
        ann.until_among("Ben")
        ann.until_sees("Ben", BEN)
        ben.until_sees("Ann", ANN)
        wait_for("gone from the first", lambda: server.metrics()["hearth_members"] == 2)
        begin = time.monotonic()
        ann.call.leave()
        ben.until_among()
        assert time.monotonic() - begin < 5.0, "a goodbye is not a loss"
