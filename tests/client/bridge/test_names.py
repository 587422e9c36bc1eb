"""Names are checked in sentences, shortened to initials and coloured at one lightness."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.bridge.names import checked_name, initials, name_colour
from rtc.signalling.session import MAX_NAME


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Mei Lindqvist", "ML"),
        ("Tom", "T"),
        ("ada king lovelace", "AL"),
        ("  (Zoë)  ", "Z"),
        ("", "?"),
        ("🙂", "?"),
        ("李 小龙", "李小"),
    ],
)
def test_initials(name: str, short: str) -> None:
    assert initials(name) == short


def test_a_name_is_checked_as_the_server_does() -> None:
    assert checked_name("  Ann \n Example ") == ("Ann Example", "")
    assert checked_name(" \t ")[1].startswith("Type your name")
    assert "This one has 65" in checked_name("x" * (MAX_NAME + 1))[1]


@given(st.text(max_size=80))
def test_white_initials_can_be_read_on_every_colour(name: str) -> None:
    luminance = _luminance(name_colour(name))
    assert 1.05 / (luminance + 0.05) >= 4.5
    assert 0.055 < luminance < 0.115  # the same lightness for all


def test_a_colour_does_not_depend_on_case_or_spaces() -> None:
    assert name_colour("Mei  Lind") == name_colour("mei lind")
    assert len({name_colour(name) for name in ("Mei", "Tom", "Amara", "Jonas")}) == 4


def _luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
