"""What a person may be called."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.names import clean_name
from rtc.signalling import ProtocolError
from rtc.signalling.session import MAX_NAME


def outcome(name: str) -> str | ProtocolError:
    try:
        return clean_name(name, 5)
    except ProtocolError as error:
        return error


@given(st.text(max_size=150))
def test_a_name_is_cleaned_or_refused(name: str) -> None:
    cleaned = outcome(name)
    if isinstance(cleaned, ProtocolError):
        assert cleaned.code in ("name-empty", "name-invalid", "name-too-long")
        assert cleaned.re == 5
        assert cleaned.sentence.endswith(".")
        return
    assert 1 <= len(cleaned) <= MAX_NAME
    assert cleaned == cleaned.strip()
    assert "  " not in cleaned
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Zl", "Zp") for c in cleaned)
    assert clean_name(cleaned) == cleaned


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  Ann \t\n Example ", "Ann Example"),
        ("Zoë", "Zoë"),
        ("李小龍", "李小龍"),
        ("نیلوفر", "نیلوفر"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner that the script needs
        ("👩\u200d🍳", "👩\u200d🍳"),
        ("Ann\u202etxt.exe", "Anntxt.exe"),  # an override that would turn the rest around
        ("A\ufeffnn", "Ann"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
    ],
)
def test_names_as_they_are_shown(name: str, shown: str) -> None:
    assert clean_name(name) == shown


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name-empty"),
        (" \t\u2003", "name-empty"),
        ("\u200d\u200c \u200b", "name-empty"),
        ("\u202e", "name-empty"),
        ("A\x00nn", "name-invalid"),
        ("\x1b[31mAnn", "name-invalid"),
        ("\ue000", "name-invalid"),
        ("x" * (MAX_NAME + 1), "name-too-long"),
    ],
)
def test_names_that_are_refused(name: str, code: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        clean_name(name)
    assert refused.value.code == code
