"""The kernel's readers in the ordinary build: changed samples come to an end, the same ones each time."""

from __future__ import annotations

import pytest

from rtc import _fanout
from rtc.fanout import MAX_DATAGRAM
from rtc.fanout_open import native_reason
from tests.rtc.fanout_fuzz import PARSERS, fuzz, samples

if not native_reason():

    @pytest.mark.parametrize("name", PARSERS)
    def test_a_seed_says_all(name: str) -> None:
        assert fuzz(name, 3000, 5) == fuzz(name, 3000, 5)
        assert fuzz(name, 3000, 5) > 100

    def test_what_cannot_be_fuzzed() -> None:
        for which, known in ((-1, [b"x"]), (99, [b"x"]), (0, []), (0, [bytes(MAX_DATAGRAM + 1)])):
            with pytest.raises(ValueError, match="reader"):
                _fanout.fuzz(which, known, 10, 1)


def test_there_are_samples_for_every_reader() -> None:
    found = samples(3)
    assert set(found) == set(PARSERS)
    assert all(len(known) >= 20 for known in found.values())
    assert all(len(one) <= MAX_DATAGRAM for known in found.values() for one in known)
