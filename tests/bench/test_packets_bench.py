from __future__ import annotations

import pytest

from bench import packets
from bench.result import complaints


def test_the_bench_of_packets_gives_a_result_in_the_promised_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "CALLS", 20)
    monkeypatch.setattr(packets, "ROUNDS", 1)
    result = packets.run().to_dict()
    assert complaints(result) == []
    assert {row["peer_name"] for row in result["rows"]} == {None, "aiortc"}
