"""The doors to Firefox that the other tests go through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import bidi
from tests.e2e.bidi import Firefox


@pytest.fixture(scope="module")
def firefox() -> Iterator[Firefox]:
    reason = bidi.missing()
    if reason:
        pytest.skip(reason)
    with Firefox(preload="() => { window.early = 42; }") as browser:
        browser.open("data:text/html,<title>Door</title>")
        yield browser


def test_scripts_take_arguments_and_are_waited_for(firefox: Firefox) -> None:
    assert firefox.run("return [document.title, window.early]") == ["Door", 42]
    script = (
        "return new Promise((done) => setTimeout(() => done({ sum: arguments[0] + arguments[1][0] }), 20))"
    )
    assert firefox.run(script, 1, [2]) == {"sum": 3}
    assert firefox.run("") is None


def test_what_a_page_throws_or_complains_of_is_told(firefox: Firefox) -> None:
    with pytest.raises(AssertionError, match="no such luck"):
        firefox.run("throw new Error('no such luck')")
    firefox.console()
    firefox.run("console.log('fine'); console.error('not fine')")
    assert firefox.console() == ["error: not fine"]
    assert firefox.console() == []


def test_a_refused_command_is_told(firefox: Firefox) -> None:
    with pytest.raises(AssertionError, match="Firefox refused"):
        firefox.open("no address at all")


def test_a_screenshot_has_the_window_s_size(firefox: Firefox, tmp_path: Path) -> None:
    firefox.screenshot(tmp_path / "shot.png")
    data = (tmp_path / "shot.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20], "big") == firefox.size[0]
