"""Real browsers send their camera in three layers, and each viewer gets the layer that its link carries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import bidi
from tests.e2e.conftest import local
from tests.e2e.guest import FirefoxGuest, Guest
from tests.e2e.picture_watch import Shown, clock, shown, watch
from tests.e2e.test_first_call import assert_hears, assert_sees
from tests.support import shaped_network
from tests.support.namespaces import inside
from tests.support.server_process import ServerProcess, wait_for
from tests.support.shaped_network import Cable, ShapedNetwork

SIZE = (1280, 720)
HEIGHTS = {"l": 180, "m": 360, "h": 720}
PATIENCE = 30.0
#: A window in which the tile of one of three people is taller than the middle layer.
WINDOW = (1920, 1080)
THIN_KBPS = 300
#: Seconds until a link that has become thin is served low. What is on its way must fail first.
LOW_WITHIN = 10.0
#: Seconds until a link that was freed is served high again.
HIGH_WITHIN = 5.0
#: Seconds for which one picture may stand.
FREEZE = 0.5
THIN_S, LOSSY_S, LOSS_PERCENT = 6.0, 20.0, 5.0
NEITHER = "camera,microphone"

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def firefox_here(browser_here: None) -> None:
    reason = bidi.missing()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def pair(
    firefox_here: None, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Guest, FirefoxGuest]]:
    """Chromium and Firefox in one room, both with cameras of 720 lines."""
    link = local(server.open_meeting("Two browsers").link)
    with (
        Guest(tmp_path_factory.mktemp("cleo"), "Cleo Clover", 301, 440.0, size=SIZE) as cleo,
        FirefoxGuest("Fynn Fern", 302, 660.0, size=SIZE) as fynn,
    ):
        cleo.join(link)
        fynn.join(link)
        yield cleo, fynn


def test_both_browsers_send_three_layers_that_arrive(
    pair: tuple[Guest, FirefoxGuest], record_property: Record
) -> None:
    """First in this file, so that the time is that of people who have just come."""
    start = time.monotonic()
    for guest in pair:
        wait_for(f"three layers of {guest.name}", lambda: all_arrive(guest), PATIENCE, every=0.1)  # noqa: B023
        record_property(f"{guest.name}_three_layers_s", time.monotonic() - start)
        print(f"{guest.name}: three layers have come {time.monotonic() - start:.1f} s after the page was in")
        sent = guest.sending()
        assert {rid: sent[rid]["frameHeight"] for rid in HEIGHTS} == HEIGHTS


def all_arrive(guest: Guest) -> bool:
    """The server reports on what it gets, so a layer that is reported on has come."""
    sent = guest.sending()
    layers = [sent.get(rid, {}) for rid in HEIGHTS]
    return all(layer.get("framesEncoded", 0) > 0 and "packetsLost" in layer for layer in layers)


def test_chromium_and_firefox_see_and_hear_each_other(pair: tuple[Guest, FirefoxGuest]) -> None:
    for one, other in (pair, pair[::-1]):
        assert_sees(one, other)
        assert_hears(one, other)


def test_each_camera_is_sent_in_the_layers_that_are_worth_it(pair: tuple[Guest, FirefoxGuest]) -> None:
    """(lines of each layer that is sent, smallest first); those that rest come last."""
    script = """
      const { layers } = await import("/web/peer.js");
      return arguments[0].map(([count, width, height]) => layers(count, width * height));
    """
    cases = {
        (3, 1280, 720): [180, 360, 720],
        (3, 720, 1280): [320, 640, 1280],  # a telephone held upright
        (3, 640, 360): [180, 360],
        (3, 640, 480): [240, 480],
        (3, 320, 180): [180],
        (2, 1280, 720): [360, 720],
        (1, 1280, 720): [720],
        (1, 320, 180): [180],
    }
    for (count, _, height), encodings in zip(
        cases, pair[0].browser.run(script, [list(case) for case in cases]), strict=True
    ):
        wanted = cases[(count, _, height)]
        used = [encoding for encoding in encodings if encoding["active"]]
        assert [encoding["active"] for encoding in encodings] == [True] * len(wanted) + [False] * (
            count - len(wanted)
        )
        assert [height / encoding["scaleResolutionDownBy"] for encoding in used] == wanted
        rates = [encoding["maxBitrate"] for encoding in used]
        assert rates == sorted(set(rates)), "a larger layer may take more"
        assert max(rates) <= (900_000 if count == 1 else 1_700_000)


def test_the_pages_of_both_browsers_complain_of_nothing(pair: tuple[Guest, FirefoxGuest]) -> None:
    assert [guest.browser.console() for guest in pair] == [[], []]


@dataclass(frozen=True, slots=True)
class Room:
    """One who sends, and two who watch, each on a cable of its own."""

    network: ShapedNetwork
    sender: Guest
    viewers: dict[str, tuple[Guest, Cable]]  # by browser

    def viewer(self, browser: str) -> tuple[Guest, Cable, Guest]:
        """The one in `browser`, with its cable, and the other one."""
        (other,) = (guest for name, (guest, _) in self.viewers.items() if name != browser)
        return *self.viewers[browser], other


@pytest.fixture(scope="module")
def room(firefox_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    reason = shaped_network.missing()
    if reason:
        pytest.skip(reason)
    with ExitStack() as stack:
        network = stack.enter_context(ShapedNetwork(3))
        server = stack.enter_context(
            ServerProcess("--advertise", network.server, host=network.server, prefix=network.prefix)
        )
        with inside(network.namespace):
            link = server.open_meeting("Thin and thick").link
        origin = f"http://{network.server}:{server.port}"
        places = [cable.namespace for cable in network.cables]
        folder: Path = tmp_path_factory.mktemp("thin")
        sol, tia, uma = (
            Guest(
                *(folder / "s", "Sol Sorrel", 311, 440.0),
                size=SIZE,
                busy=True,
                namespace=places[0],
                origin=origin,
            ),
            Guest(folder / "t", "Tia Thyme", 312, 550.0, window=WINDOW, namespace=places[1], origin=origin),
            FirefoxGuest("Uma Umbel", 313, 660.0, window=WINDOW, namespace=places[2], origin=origin),
        )
        for person in (sol, tia, uma):
            stack.enter_context(person)
        sol.join(link)
        for viewer in (tia, uma):
            viewer.join(link, without=NEITHER)
        _, *cables = network.cables
        yield Room(network, sol, {"chromium": (tia, cables[0]), "firefox": (uma, cables[1])})


def await_high(room: Room) -> None:
    """Both viewers are shown the highest layer, and what they see is remembered from here on."""
    for viewer, _ in room.viewers.values():
        wait_for(
            f"{viewer.name} sees the high layer",
            lambda: viewer.video(room.sender.name).get("frameHeight") == HEIGHTS["h"],  # noqa: B023
            PATIENCE,
            every=0.25,
        )
        watch(viewer, room.sender.name)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_thin_link_is_served_low_and_high_again_and_nobody_else_notices(
    room: Room, browser: str, record_property: Record
) -> None:
    """A machine that is busy for a moment spoils a probe, after which the next comes two seconds later, or it
    holds a browser up: there is a second try at being in time. All else holds for both."""
    if not _thinned_and_freed(room, browser, record_property):
        assert _thinned_and_freed(room, browser, record_property)


def _thinned_and_freed(room: Room, browser: str, record_property: Record) -> bool:
    """Whether the low layer went on, and the first high picture came in time when the link was free again."""
    thin, cable, other = room.viewer(browser)
    await_high(room)
    try:
        thinned = clock(thin)
        cable.shape(down_kbps=THIN_KBPS)
        low = wait_for("the low layer", lambda: _low_since(shown(thin), thinned), LOW_WITHIN, every=0.25)
        record_property("low_after_s", low - thinned)
        time.sleep(THIN_S)  # the link is thin for this long
    finally:
        freed = clock(thin)
        cable.free()
    kept = shown(thin).since(low + 0.001).until(freed)  # its first picture is the first low one
    assert max(kept.heights) <= HEIGHTS["m"]
    high = wait_for(
        "the high layer",
        lambda: shown(thin).since(freed).first(HEIGHTS["h"]),
        2 * HIGH_WITHIN,
        every=0.25,
    )
    record_property("high_after_s", high - freed)
    free = shown(other)
    record_property("longest_gap_of_the_other_s", free.longest_gap())
    print(
        f"{browser}: low after {low - thinned:.1f} s, high again after {high - freed:.1f} s; longest gaps: "
        f"{shown(thin).longest_gap():.2f} s at the change, {kept.longest_gap():.2f} s when low, "
        f"{free.longest_gap():.2f} s for the other"
    )
    assert free.heights == {HEIGHTS["h"]}
    assert free.longest_gap() <= FREEZE
    return high - freed < HIGH_WITHIN and kept.longest_gap() <= 2 * FREEZE


def _low_since(seen: Shown, start: float) -> float | None:
    """When the low layers began for good (s); None while a high picture was the last, or one stands."""
    frames = seen.since(start).frames[1:]
    if not frames or frames[-1][1] > HEIGHTS["m"] or seen.now - frames[-1][0] > FREEZE:
        return None
    last_high = max((time for time, height in frames if height > HEIGHTS["m"]), default=start)
    return next(time for time, _ in frames if time > last_high)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_five_percent_of_loss_freezes_no_picture(room: Room, browser: str, record_property: Record) -> None:
    """In both directions: what is asked again is lost as often as what is sent."""
    viewer, cable, _ = room.viewer(browser)
    await_high(room)
    lost = cable.dropped()
    cable.shape(loss_percent=LOSS_PERCENT)
    try:
        start = clock(viewer)
        time.sleep(LOSSY_S)  # twenty seconds of a bad link take as long
        seen = shown(viewer).since(start)
    finally:
        cable.free()
    statistics = viewer.video(room.sender.name)
    record_property("longest_gap_s", seen.longest_gap())
    print(
        f"{browser}: {cable.dropped() - lost} packets lost on the way, "
        f"{statistics['nackCount']} asked again so far; "
        f"longest gap {seen.longest_gap():.2f} s, {seen.heights} lines"
    )
    assert cable.dropped() - lost > 20, "the cable lost nothing"
    assert len(seen.frames) > 5 * LOSSY_S
    assert seen.longest_gap() <= FREEZE
