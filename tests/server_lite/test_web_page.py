"""The guest page's files: nothing inline, nothing from elsewhere, and colours that can be read."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import server_lite

WEB = Path(server_lite.__file__).parent / "web"
PAGE = (WEB / "index.html").read_text(encoding="utf-8")
STYLE = (WEB / "style.css").read_text(encoding="utf-8")


class Inspector(HTMLParser):
    """Collects what a strict content security policy would block, and all ids."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked: list[str] = []
        self.ids: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self._inside = tag
        if tag == "style" or (tag == "script" and "src" not in given):
            self.blocked.append(f"<{tag}>")
        self.blocked += [name for name in given if name == "style" or name.startswith("on")]
        for name in ("src", "href"):
            if not (given.get(name) or "/web/").startswith(("/web/", "#")):
                self.blocked.append(f"{name}={given[name]}")
        self.ids += [given["id"] or ""] if "id" in given else []


def inspected() -> Inspector:
    inspector = Inspector()
    inspector.feed(PAGE)
    return inspector


def test_nothing_is_inline_or_from_elsewhere() -> None:
    assert inspected().blocked == []


@pytest.mark.parametrize("path", sorted(WEB.iterdir()), ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    addresses = set(re.findall(r"\w+://[\w.-]+", path.read_text(encoding="utf-8")))
    assert addresses <= {"http://www.w3.org"}  # the names of XML namespaces; nothing is fetched there


def test_every_element_that_the_modules_ask_for_is_on_the_page() -> None:
    ids = inspected().ids
    assert len(ids) == len(set(ids))
    asked = set(re.findall(r'\$\("([\w-]+)"\)', (WEB / "main.js").read_text(encoding="utf-8")))
    assert asked
    assert asked <= set(ids)


def themes() -> dict[str, dict[str, str]]:
    """The tokens of the dark and the light theme."""
    blocks = re.findall(r"(:root[^{]*)\{([^{}]*--ground[^{}]*)\}", STYLE)
    found = [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})\b", body)) for _, body in blocks]
    dark, light = (tokens for tokens in found if len(tokens) > 10)
    return {"dark": dark, "light": light}


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio of two #rrggbb colours, 1..21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_and_edges_stand_out(theme: str) -> None:
    tokens = themes()[theme]
    for text in ("text", "muted"):
        for ground in ("ground", "surface", "raised"):
            assert contrast(tokens[text], tokens[ground]) >= 4.5, (theme, text, ground)
    for text, ground in (
        ("danger", "ground"),
        ("warn", "ground"),
        ("on-accent", "accent"),
        ("on-danger", "danger"),
    ):
        assert contrast(tokens[text], tokens[ground]) >= 4.5, (theme, text, ground)
    for ground in ("ground", "surface", "raised"):
        assert contrast(tokens["edge"], tokens[ground]) >= 3.0, (theme, ground)
    assert contrast(tokens["focus"], tokens["ground"]) >= 3.0
