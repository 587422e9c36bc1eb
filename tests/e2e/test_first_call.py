"""Two desktop clients and a browser in one room: everybody sees and hears everybody, and nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import Anybody, Company, local
from tests.e2e.desktop import Desktop
from tests.e2e.guest import Guest
from tests.support.server_process import wait_for

#: Seconds. A loaded machine may take its time; the bench says how long it really takes.
PATIENCE = 30.0
#: Seconds after which a member who was killed must be gone for the others.
GONE_WITHIN = 10.0
TONE_HZ = 2.0
LEVEL_DBFS, LEVEL_DB = -20.0, 4.0


def words(pair: tuple[Anybody, Anybody]) -> str:
    return f"{pair[0].name} <- {pair[1].name}"


def assert_sees(one: Anybody, other: Anybody) -> None:
    """`one` decodes new pictures of `other`, all of them with the mark of `other`."""
    pair = words((one, other))
    start = wait_for(f"{pair}: a first picture", lambda: one.frames(other.name), PATIENCE)
    wait_for(f"{pair}: pictures go on", lambda: one.frames(other.name) > start + 10, PATIENCE)
    seen = wait_for(f"{pair}: a mark", lambda: one.marks(other.name), PATIENCE)
    assert set(seen) == {other.identity}, f"{pair}: the tile showed {seen}"


def assert_hears(one: Anybody, other: Anybody) -> None:
    """What `one` plays of `other` is the tone that `other` speaks, as loud as it was spoken."""
    pair = words((one, other))
    heard: list[tuple[float, float]] = []

    def right() -> bool:
        heard.append(one.tone(other.name))
        frequency, level = heard[-1]
        return abs(frequency - other.frequency) < TONE_HZ and abs(level - LEVEL_DBFS) < LEVEL_DB

    try:
        wait_for(pair, right, PATIENCE, every=0.3)
    except AssertionError:
        raise AssertionError(f"{pair}: {other.frequency} Hz expected, {heard[-5:]} heard") from None


def test_everybody_sees_everybody_in_the_right_tile(company: Company) -> None:
    for one, other in company.pairs:
        assert_sees(one, other)


def test_everybody_hears_the_voice_of_everybody(company: Company) -> None:
    for one, other in company.pairs:
        assert_hears(one, other)


def test_everybody_reads_the_same_names(company: Company) -> None:
    names = sorted(person.name for person in company.everybody)
    assert company.ann.names() == company.ben.names() == company.cem.tiles() == names


def test_the_server_forwards_and_decodes_nothing(company: Company) -> None:
    before = company.server.metrics()
    assert before["hearth_decoders_opened_total"] == 0
    wait_for(
        "packets are forwarded",
        lambda: (
            company.server.metrics()["hearth_packets_out_total"] > before["hearth_packets_out_total"] + 100
        ),
        PATIENCE,
    )
    assert company.server.metrics()["hearth_malformed_total"] == 0


def test_mute_is_shown_to_the_others_and_silences(company: Company) -> None:
    ann, ben, cem = company.ann, company.ben, company.cem
    ann.do("microphone", on=False)
    cem.click("call-microphone")
    for one, other in ((ben, ann), (cem, ann), (ann, cem), (ben, cem)):
        pair = words((one, other))
        wait_for(f"{pair}: muted", lambda: one.member(other.name)["microphone"] is False, PATIENCE)  # noqa: B023
        wait_for(f"{pair}: silent", lambda: one.tone(other.name)[1] < -60, PATIENCE, every=0.3)  # noqa: B023
    assert ben.member(ben.name)["microphone"] is True
    ann.do("microphone", on=True)
    cem.click("call-microphone")
    for one, other in ((ben, ann), (cem, ann), (ann, cem), (ben, cem)):
        assert_hears(one, other)


def test_a_camera_that_is_off_is_shown_as_off_and_comes_back(company: Company) -> None:
    ann, ben, cem = company.ann, company.ben, company.cem
    ben.do("camera", on=False)
    cem.click("call-camera")
    for one, other in ((ann, ben), (cem, ben), (ann, cem), (ben, cem)):
        pair = words((one, other))
        wait_for(f"{pair}: off", lambda: one.member(other.name)["camera"] is False, PATIENCE)  # noqa: B023
    assert cem.browser.run("return document.querySelectorAll('.tile.no-picture').length") == 2
    ben.do("camera", on=True)
    cem.click("call-camera")
    for one, other in ((ann, ben), (cem, ben), (ann, cem), (ben, cem)):
        assert_sees(one, other)


def test_those_who_come_late_see_everybody_and_leave_no_tile_behind(
    company: Company, record_property: Callable[[str, object], None]
) -> None:
    """Twice, because the second one is given the browser's sections of the first."""
    for name, identity, frequency in (("Dora Dogwood", 104, 550.0), ("Emil Elder", 105, 770.0)):
        with Desktop(name, identity, frequency) as late:
            late.join(company.meeting.link)
            for person in company.everybody:
                assert_sees(late, person)
                assert_sees(person, late)
                assert_hears(person, late)
                first = late.member(person.name)["first_frame_ms"]
                record_property(f"{name}_first_frame_of_{person.name}_ms", first)
                print(f"{name}: first picture of {person.name} after {first:.0f} ms")
                assert first < 5000
            late.do("leave")
            for person in (company.ann, company.ben):
                wait_for(f"{person.name} sees {name} go", lambda: name not in person.names(), PATIENCE)  # noqa: B023
            wait_for(f"the tile of {name} goes", lambda: name not in company.cem.tiles(), PATIENCE)  # noqa: B023
            assert late.report()["phase"] == "left"
    for one, other in company.pairs:
        assert_sees(one, other)


def test_who_is_killed_is_gone_for_the_others(
    company: Company, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with (
        Desktop("Fay Fir", 106, 500.0) as desktop,
        Guest(tmp_path / "gus", "Gus Gorse", 107, 600.0) as browser,
    ):
        browser.join(local(company.meeting.link))
        desktop.join(company.meeting.link)
        for person in company.everybody:
            assert_sees(person, desktop)
            assert_sees(person, browser)
        for victim in (desktop, browser):
            victim.kill()
            gone = _time_until_gone(company, victim.name)
            record_property(f"{victim.name}_gone_after_s", gone)
            print(f"{victim.name}: gone for everybody after {gone:.1f} s")
            assert gone <= GONE_WITHIN


def _time_until_gone(company: Company, name: str) -> float:
    start = time.monotonic()
    wait_for(f"{name} is gone for Ann", lambda: name not in company.ann.names(), PATIENCE)
    wait_for(f"{name} is gone for Ben", lambda: name not in company.ben.names(), PATIENCE)
    wait_for(f"{name} is gone for Cem", lambda: name not in company.cem.tiles(), PATIENCE)
    return time.monotonic() - start


def test_two_rooms_of_one_server_do_not_mix(company: Company) -> None:
    elsewhere = company.server.open_meeting("Somewhere else")
    with Desktop("Hal Hazel", 108, 500.0) as hal, Desktop("Ida Ivy", 109, 600.0) as ida:
        hal.start_joining(elsewhere.link)
        ida.join(elsewhere.link)
        hal.wait_in_call()
        assert_sees(hal, ida)
        assert_sees(ida, hal)
        assert_hears(hal, ida)
        assert hal.names() == ida.names() == ["Hal Hazel", "Ida Ivy"]
        for person in (company.ann, company.ben):
            assert not {"Hal Hazel", "Ida Ivy"} & set(person.names())
        assert len(company.cem.tiles()) == 3
    for one, other in company.pairs:
        assert_sees(one, other)


def test_the_guest_is_told_in_a_sentence_why_it_is_not_let_in(company: Company, tmp_path: Path) -> None:
    link = local(company.meeting.link)
    with Guest(tmp_path / "jo", "Jo Juniper", 110, 500.0) as jo:
        for bad, part in (
            (link[:-4] + "0000", "invitation is not valid"),
            (link.partition("#")[0], "end of the link is missing"),
            (link.replace(company.meeting.room, "nosuchroom"), "invitation is not valid"),
        ):
            jo.open(bad)
            sentence = wait_for("a sentence", lambda: jo.text("door-problem").strip(), PATIENCE)
            assert part in sentence, sentence
            assert jo.report()["phase"] == "door"
        jo.name = " "
        jo.open(link)
        sentence = wait_for("a sentence", lambda: jo.text("door-problem").strip(), PATIENCE)
        assert "name" in sentence


def test_the_guest_page_complains_of_nothing(company: Company) -> None:
    """Neither of blocked scripts and styles nor of errors of its own, after all that it went through."""
    assert company.cem.browser.console() == []


def test_the_grid_of_the_page_fits_every_number_of_people_and_every_window(company: Company) -> None:
    script = """
      const { arrange } = await import("/web/tiles.js");
      return arguments[0].map(([count, width, height]) => arrange(count, width, height));
    """
    windows = ((1280, 720), (800, 600), (390, 844), (320, 480), (3840, 1080))
    cases = [(count, *window) for count in range(1, 26) for window in windows]
    for (count, width, height), found in zip(cases, company.cem.browser.run(script, cases), strict=True):

        def fits(columns: int, tile: float) -> bool:
            rows = -(-count // columns)  # noqa: B023
            wide = columns * tile + (columns - 1) * 8 <= width  # noqa: B023
            return wide and rows * tile * 9 / 16 + (rows - 1) * 8 <= height  # noqa: B023

        assert fits(found["columns"], found["tileWidth"])
        assert not any(fits(columns, found["tileWidth"] + 1) for columns in range(1, count + 1))


def test_a_guest_leaves_and_comes_again(company: Company) -> None:
    ann, cem = company.ann, company.cem
    cem.click("leave")
    wait_for("Cem is gone for Ann", lambda: cem.name not in ann.names(), PATIENCE)
    assert cem.text("door-inside") == "You left the meeting"
    cem.join(local(company.meeting.link))
    for one, other in company.pairs:
        assert_sees(one, other)
