"""Which layer each receiver gets, by example and over time."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from server_lite.allocation import (
    BACKOFF_MAX_S,
    HELD_MARGIN,
    HOLD_S,
    MARGIN,
    OVERSEND,
    START_BUDGET,
    Allocation,
    Choice,
)
from server_lite.ladder import Caps, Layer, Priority, Wish, cost
from tests.server_lite.pictures import (
    CAMERA,
    STAGE,
    TILES,
    Receiver,
    camera,
    chosen_layer,
    once,
    share,
    simulcast,
)

ROOT = Path(__file__).resolve().parents[2]
MINUTE = 60.0


def heights(allocation: Allocation, wishes: list[Wish]) -> dict[str, int]:
    """Mid -> the height that is sent, 0 nothing."""
    found = {}
    for wish in wishes:
        choice = allocation.choices[wish.mid]
        found[wish.mid] = next(
            (
                layer.height
                for layer in wish.layers
                if (layer.encoding, layer.spatial, layer.temporal) == choice[:3]
            ),
            0,
        )
    return found


# By example.


def test_with_plenty_everybody_gets_what_is_shown() -> None:
    allocation = once(10_000_000, [STAGE, *TILES])
    assert {c.state for c in allocation.choices.values()} == {"full"}
    assert heights(allocation, [STAGE, *TILES]) == {"main": 720} | {f"t{n}": 180 for n in range(4)}
    assert allocation.used == allocation.wanted == 1_700_000 + 4 * 150_000


def test_nobody_goes_without_so_that_the_stage_is_sharp() -> None:
    allocation = once(1_000_000, [STAGE, *TILES])
    assert heights(allocation, [STAGE, *TILES]) == {"main": 360} | {f"t{n}": 180 for n in range(4)}
    assert allocation.choices["main"] == Choice(1, 0, 2, "lower", "bandwidth", 500_000)
    assert allocation.wanted == 2_300_000


def test_the_last_in_order_goes_first() -> None:
    wishes = [camera(f"t{n}", priority=Priority.RECENT, order=n) for n in range(4)]
    allocation = once(160_000, wishes)  # two of 75,000, the lowest of the lowest
    assert [allocation.choices[w.mid].state for w in wishes] == ["lower", "lower", "paused", "paused"]
    assert allocation.choices["t3"].reason == "bandwidth"


def test_sound_is_set_aside_before_any_picture() -> None:
    assert once(160_000, TILES, audio=100_000).used == 100_000
    assert heights(once(180_000, TILES, audio=100_000), TILES)["t0"] == 180


def test_before_the_first_estimate_there_is_a_start_value() -> None:
    assert once(None, [STAGE, *TILES]) == once(START_BUDGET, [STAGE, *TILES])


def test_a_camera_keeps_its_rate_and_a_share_its_size() -> None:
    both = {w.mid: once(900_000, [w]).choices[w.mid] for w in (STAGE, share())}
    assert both["main"][:3] == (1, 0, 2)  # 360 lines, fluent, rather than 720 that stutter
    assert both["s"][:3] == (1, 0, 1)  # 1080 lines at half the rate rather than 540
    assert once(600_000, [share()]).choices["s"][:3] == (1, 0, 0)


def test_a_share_may_exceed_the_budget_a_little_and_nobody_else() -> None:
    small = 100_000 / (1 + OVERSEND)
    assert once(small + 1, [share()]).used == 100_000
    assert once(small - 1, [share()]).used == 0
    assert once(74_999, [camera("t")]).used == 0
    allocation = once(small + 1, [share(), camera("t")])
    assert (allocation.choices["s"].layer, allocation.choices["t"].layer) == (0, None)


def test_the_next_size_up_is_sent_only_to_a_tile_that_shows_it() -> None:
    for shown, sent in ((0, 0), (90, 180), (180, 180), (287, 180), (288, 360), (575, 360), (2000, 720)):
        wishes = [camera("t", shown)]
        assert heights(once(10_000_000, wishes), wishes)["t"] == sent


def test_a_source_with_one_big_layer_waits_until_the_stage_has_its_own() -> None:
    big = Wish("big", "p", 180, Priority.SPEAKER, simulcast((720, 2_000_000)))
    allocation = once(1_900_000, [STAGE, big, TILES[0]])
    assert heights(allocation, [STAGE, big, TILES[0]]) == {"main": 720, "big": 0, "t0": 180}
    assert heights(once(3_900_000, [STAGE, big]), [STAGE, big]) == {"main": 720, "big": 720}


def test_reasons_are_told() -> None:
    silent = Wish("silent", "p", 180, Priority.REST, tuple(x._replace(active=False) for x in CAMERA))
    wishes = [camera("hidden", 0), silent, camera("held")._replace(held="last-n"), camera("poor")]
    allocation = once(10_000, wishes)
    assert {m: (c.state, c.reason) for m, c in allocation.choices.items()} == {
        "hidden": ("paused", "hidden"),
        "silent": ("paused", "source"),
        "held": ("paused", "last-n"),
        "poor": ("paused", "bandwidth"),
    }


def test_the_server_caps_cameras_and_leaves_the_share_its_size() -> None:
    wishes = [STAGE, share()]
    allocation = once(10_000_000, wishes, caps=Caps(max_height=360, max_temporal=1))
    assert allocation.choices["main"] == Choice(1, 0, 1, "lower", "load", 350_000)
    assert allocation.choices["s"] == Choice(1, 0, 1, "lower", "load", 700_000)
    assert allocation.wanted == allocation.used  # no probing for what would not be sent
    one_layer = [Wish("t", "p", 720, Priority.REST, simulcast((720, 300_000)))]
    assert heights(once(10_000_000, one_layer, caps=Caps(max_height=180)), one_layer) == {"t": 720}


def test_scalable_layers_of_one_encoding() -> None:
    layers = tuple(
        Layer(0, spatial, 0, height, rate, 30.0)
        for spatial, (height, rate) in enumerate([(180, 150_000), (360, 400_000), (720, 1_200_000)])
    )
    wish = Wish("t", "p", 720, Priority.STAGE, layers)
    assert once(500_000, [wish]).choices["t"][:3] == (0, 1, 0)


def test_a_rate_that_nobody_measured_is_guessed_from_the_size() -> None:
    assert 1_500_000 < cost(Layer(0, 0, 0, 720, 0, 30.0)) < 2_000_000
    unmeasured = Wish("t", "p", 720, Priority.STAGE, tuple(x._replace(bitrate=0) for x in CAMERA))
    assert heights(once(1_000_000, [unmeasured]), [unmeasured]) == {"t": 360}


def test_what_is_larger_and_cheaper_wins() -> None:
    still = simulcast((180, 150_000), (720, 60_000))  # a picture in which nothing moves
    wish = Wish("t", "p", 720, Priority.REST, still)
    assert heights(once(70_000, [wish]), [wish]) == {"t": 720}


def test_the_example_of_the_page_holds() -> None:
    text = (ROOT / "docs/layer-allocation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|(.*)\| (\d+) \|$", text, re.M)
    assert len(rows) == 7
    wishes = [
        share(),
        camera("ben", 320, Priority.SPEAKER),
        camera("cem", 180, Priority.RECENT),
        camera("dan"),
        camera("eva"),
    ]
    for budget, told, used in rows:
        allocation = once(int(budget) * 1000, wishes, audio=120_000)
        shown = []
        for wish in wishes:
            layer = chosen_layer(wish, allocation.choices[wish.mid])
            shown.append(f"{layer.height}@{int(layer.fps)}" if layer else "-")
        assert [cell.strip() for cell in told.split("|")] == shown, budget
        assert allocation.used == int(used) * 1000


# Over time.


def test_down_at_once_and_up_with_a_margin() -> None:
    ann = Receiver([STAGE])
    assert ann.goes_on(1, 2_000_000).choices["main"].layer == 2
    assert ann.goes_on(0.5, 1_600_000).choices["main"].layer == 1
    assert ann.goes_on(0.5, 1_700_000 * 1.1).choices["main"].layer == 1
    assert ann.goes_on(0.5, 1_700_000 * MARGIN + 1).choices["main"].layer == 2


def test_a_small_surplus_is_enough_once_it_has_lasted() -> None:
    ann = Receiver([STAGE])
    ann.goes_on(1, 1_600_000)
    assert ann.goes_on(HOLD_S - 0.5, 1_700_000 * HELD_MARGIN + 1).choices["main"].layer == 1
    assert ann.goes_on(1.5, 1_700_000 * HELD_MARGIN + 1).choices["main"].layer == 2


def test_a_freed_receiver_is_sharp_again_at_once() -> None:
    ann = Receiver([STAGE])
    ann.goes_on(30, 300_000)
    assert ann.goes_on(0.5, 4_000_000).choices["main"].layer == 2


def test_an_estimate_that_goes_up_and_down_is_believed_less_and_less() -> None:
    ann = Receiver([STAGE])
    ann.goes_on(5 * MINUTE, *[1_960_000.0] * 6, *[1_600_000.0] * 2)  # without patience: 150 changes
    assert ann.changes() < 30
    last_minute = ann.history[-round(BACKOFF_MAX_S) :]
    assert sum(a.choices != b.choices for a, b in pairwise(last_minute)) <= 2
    assert ann.goes_on(0.5, 3_000_000).choices["main"].layer == 2  # of this there is no doubt


def test_a_new_speaker_gets_the_stage_without_a_test_of_the_path() -> None:
    ann = Receiver([STAGE, camera("t0")])
    ann.goes_on(10, 1_900_000)
    ann.wishes = [camera("main", 180, Priority.REST), camera("t0", 720, Priority.STAGE)]
    assert heights(ann.goes_on(0.5, 1_900_000), ann.wishes) == {"main": 180, "t0": 720}


def test_another_source_in_a_section_begins_anew() -> None:
    ann = Receiver([camera("t")])
    ann.goes_on(1, 10_000_000)
    ann.wishes = [camera("t")._replace(producer="other")]
    assert ann.goes_on(0.5, 10_000).choices["t"].state == "paused"


def test_a_layer_that_ends_is_not_sent_any_more() -> None:
    ann = Receiver([STAGE])
    ann.goes_on(1, 10_000_000)
    ann.wishes = [STAGE._replace(layers=tuple(x._replace(active=x.encoding < 2) for x in CAMERA))]
    assert ann.goes_on(0.5, 10_000_000).choices["main"].layer == 1


def test_the_dump_says_what_is_sent_and_why() -> None:
    ann = Receiver([STAGE])
    ann.goes_on(1, 600_000)
    dump = ann.allocator.dump()
    assert (dump["used"], dump["wanted"], dump["budget"]) == (500_000, 1_700_000, 600_000)
    assert dump["choices"] == {"main": Choice(1, 0, 2, "lower", "bandwidth", 500_000)._asdict()}
