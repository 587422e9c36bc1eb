"""Meetings with more in them than a path has sections for, over the real server."""

from __future__ import annotations

import pytest

from client.call import places, runner
from tests.client.call.people import Person
from tests.support.server_process import ServerProcess, wait_for

ANN, BEN, CEM = 101, 202, 303


def test_everybody_is_heard_and_who_is_shown_is_seen(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "OWN_VOICES", 0)
    monkeypatch.setattr(places, "LOUD", places.LOUD[:1])
    link = server.open_meeting().link
    with Person("Ben", BEN, 440.0) as ben, Person("Cem", CEM) as cem:
        for person, name in ((ben, "Ben"), (cem, "Cem")):
            person.call.join(link, name)
            person.until_among(*(["Ben"] if person is cem else []))
        ben.until_sees("Cem", CEM)
        for room in (places, runner):  # only for those who come now: one voice, one picture
            monkeypatch.setattr(room, "MAX_RECEIVING", 2)
        with Person("Ann", ANN) as ann:
            ann.call.join(link, "Ann")
            ann.until_among("Ben", "Cem")
            of_ben, of_cem = ann.other("Ben").id, ann.other("Cem").id
            ann.until_hears(440.0)
            wait_for("his name", lambda: ann.call.mixer.levels().get(of_ben, 0.0) > 0.0)
            assert set(ann.call.mixer.levels()) == {of_ben}, "one section for whoever is loud"
            ann.call.view({of_ben: 0.0, of_cem: 170.0})
            ann.until_sees("Cem", CEM)
            ann.call.view({of_ben: 170.0, of_cem: 0.0})
            ann.until_sees("Ben", BEN)
            ann.call.view({of_ben: 0.0, of_cem: 170.0}, main=of_cem)
            ann.until_sees("Cem", CEM)
            ann.until_hears(440.0)
