"""Every parser takes changed samples or says what it declares; tests/rtc/parser_fuzz.py tries many more."""

from __future__ import annotations

import pytest

from tests.rtc.parser_fuzz import Parser, UndeclaredError, fuzz, parsers

PARSERS = parsers(1)
#: What takes any bytes and raises nothing.
TOLERANT = {"plane", "av1", "red", "extensions"}


@pytest.mark.parametrize("name", PARSERS)
def test_nothing_undeclared_is_raised(name: str) -> None:
    found = fuzz(name, PARSERS[name], 400, 11)
    assert found.taken == 400 if name in TOLERANT else 10 < found.taken < 400


def test_what_is_undeclared_is_reported_with_the_bytes() -> None:
    def read(data: bytes) -> int:
        return data[7]

    with pytest.raises(UndeclaredError, match=r"IndexError for [0-9a-f]*$"):
        fuzz("short", Parser(read, (ValueError,), [bytes(8)]), 400, 1)
    assert 0 < fuzz("short", Parser(read, (IndexError,), [bytes(8)]), 400, 1).taken < 400
