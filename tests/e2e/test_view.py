"""The guest page tells the server how large it shows people, and gets no pictures that nobody can see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from client.session.held import PAUSED, WORDS
from tests.e2e.conftest import Company
from tests.e2e.test_first_call import PATIENCE, assert_hears, assert_sees
from tests.e2e.webdriver import Browser
from tests.support.server_process import wait_for

RECORD = """
window.told = [];
const send = WebSocket.prototype.send;
window.stopRecording = () => { WebSocket.prototype.send = send; };
WebSocket.prototype.send = function (text) { told.push(JSON.parse(text)); return send.call(this, text); };
"""
HIDE = """
Object.defineProperty(document, "hidden", { value: arguments[0], configurable: true });
document.dispatchEvent(new Event("visibilitychange"));
"""
#: A View over a server that answers as it is told, asked for what `arguments[0]` lists.
ASK = """
const [steps] = arguments;
return import("/web/view.js").then(async ({ View }) => {
  const sent = [];
  let answer = null;
  const view = new View(async (message) => { sent.push(message); if (answer) throw { code: answer }; });
  for (const step of steps) {
    answer = step.refusal ?? null;
    await view.tell(new Map(step.heights), step.producers);
  }
  return sent;
});
"""


def producer(name: str, member: str, kind: str = "video") -> dict[str, str]:
    return {"id": name, "member": member, "kind": kind, "source": "camera"}


BEN, CEM, VOICE = producer("p1", "ben"), producer("p2", "cem"), producer("p3", "ben", "audio")


def step(*heights: tuple[str, float], refusal: str | None = None, producers: Any = None) -> dict[str, Any]:
    return {"heights": heights, "producers": producers or [BEN, CEM, VOICE], "refusal": refusal}


@pytest.fixture
def page(company: Company) -> Iterator[Browser]:
    """Cem's page, with what it sends written down."""
    browser = company.cem.browser
    assert isinstance(browser, Browser)
    browser.run(RECORD)
    yield browser
    browser.run("window.stopRecording();")
    browser.run(HIDE, False)
    browser.resize(1280, 720)


def views(browser: Browser) -> list[dict[str, int]]:
    sent = browser.run("return window.told.filter((message) => message.type === 'media.view')")
    return [message["sizes"] for message in sent]


def told(browser: Browser, what: str, sizes: set[int]) -> None:
    """Waits until the last view names two pictures, of no other sizes than these."""

    def right() -> bool:
        last = views(browser)[-1:]
        return bool(last) and len(last[0]) == 2 and set(last[0].values()) <= sizes

    try:
        wait_for(what, right, PATIENCE)
    except AssertionError as error:
        raise AssertionError(f"{error}; told was {views(browser)}") from None


def test_the_server_is_told_of_other_sizes_when_they_rest(company: Company, page: Browser) -> None:
    for width in range(400, 600, 20):  # somebody drags the window's edge
        page.resize(width, 400)
    page.resize(400, 400)
    told(page, "small tiles", {180})
    assert len(views(page)) <= 2
    page.resize(1900, 1500)
    told(page, "large tiles", {720, 1080})
    for other in (company.ann, company.ben):
        assert_sees(company.cem, other)


def test_a_page_that_nobody_sees_gets_sound_alone(company: Company, page: Browser) -> None:
    ann, cem = company.ann, company.cem
    assert_sees(cem, ann)
    page.run(HIDE, True)
    told(page, "nothing is shown", {0})
    counts: list[int] = []

    def stands_still() -> bool:
        counts.append(cem.frames(ann.name))
        return len(counts) > 6 and len(set(counts[-6:])) == 1

    wait_for("no more pictures come", stands_still, PATIENCE, every=0.1)
    assert_hears(cem, ann)
    page.run(HIDE, False)
    wait_for("pictures come again", lambda: cem.frames(ann.name) > counts[-1] + 5, PATIENCE)


def ask(browser: Browser, *steps: dict[str, Any]) -> list[dict[str, int]]:
    sent = browser.run(ASK, json.loads(json.dumps(steps)))
    assert all(message["type"] == "media.view" for message in sent)
    return [message["sizes"] for message in sent]


def test_sizes_are_steps_by_producer_and_told_once(page: Browser) -> None:
    once = step(("ben", 350.5), ("cem", 0))
    assert ask(page, once, once, step(("ben", 340), ("cem", 0))) == [{"p1": 360, "p2": 0}]
    assert ask(page, step(("ben", 1), ("cem", 9000))) == [{"p1": 180, "p2": 4320}]
    assert ask(page, step()) == []


def test_whoever_comes_gets_no_more_than_the_smallest_tile(page: Browser) -> None:
    assert ask(page, step(("ben", 700), ("other", 300))) == [{"p1": 720, "p2": 360}]
    assert ask(page, step(("other", 0))) == []


def test_an_older_server_is_asked_once(page: Browser) -> None:
    first = step(("ben", 100), refusal="message-unknown")
    assert len(ask(page, first, step(("ben", 700)), step(("ben", 900)))) == 1
    first = step(("ben", 100), refusal="too-many-messages")
    assert len(ask(page, first, step(("ben", 100)))) == 2


def test_words_for_what_is_held_back(page: Browser) -> None:
    script = """return import("/web/view.js").then(({ wordsFor }) =>
      arguments[0].map(([state, reason]) => wordsFor({ state, reason })));"""
    cases = [("paused", "bandwidth"), ("paused", "load"), ("paused", "last-n"), ("paused", "new")]
    silent = [("paused", "hidden"), ("paused", "wanted"), ("lower", "bandwidth"), ("full", "wanted")]
    assert page.run(script, cases) == [*(WORDS[reason] for _, reason in cases[:3]), PAUSED]
    assert page.run(script, silent) == [""] * 4


def test_a_tile_says_why_its_picture_is_paused(company: Company, page: Browser) -> None:
    """As when the server says so: the picture is taken away, and comes back with the word that it flows."""
    script = """return Promise.all([import("/web/tiles.js"), import("/web/view.js")]).then((modules) => {
      const [{ Tiles }, view] = modules;
      const grid = document.createElement("main");
      const tiles = new Tiles(grid, () => {});
      const on = { microphone: true, camera: true, connected: true };
      const member = { id: "m1", name: "Ben", producers: [], ...on };
      const look = () => {
        const { classList, children } = grid.firstElementChild;
        const held = [...children].find((child) => child.className === "tile-held");
        return [classList.contains("no-picture"), held.hidden ? "" : held.textContent];
      };
      tiles.update([member], "m0");
      const track = document.createElement("canvas").captureStream().getVideoTracks()[0];
      tiles.attach("m1", "video", track);
      const seen = [look()];
      tiles.held("m1", view.wordsFor({ state: "paused", reason: "bandwidth" }));
      seen.push(look());
      tiles.update([{ ...member, microphone: false }], "m0");
      seen.push(look());
      tiles.update([{ ...member, camera: false }], "m0");
      seen.push(look());
      tiles.update([member], "m0");
      tiles.held("m1", "");
      seen.push(look());
      return seen;
    });"""
    words = "Paused: your network is too slow for this picture"
    assert page.run(script) == [[False, ""], [True, words], [True, words], [True, ""], [False, ""]]
