"""The memory between runs survives what can happen to a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.bridge.preferences import SIZE_LIMIT, Preferences


def test_what_was_remembered_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "preferences.json"
    Preferences(path).remember("name", "Zoë")
    assert Preferences(path).text("name") == "Zoë"
    assert [file.name for file in path.parent.iterdir()] == ["preferences.json"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{broken", b"\xff\xfe", b'{"name": 7}', b" " * (SIZE_LIMIT + 1)]
)
def test_a_broken_file_is_no_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "preferences.json"
    path.write_bytes(content)
    preferences = Preferences(path)
    assert preferences.text("name") == ""
    preferences.remember("name", "Tom")
    assert Preferences(path).text("name") == "Tom"


def test_a_place_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    preferences = Preferences(file / "preferences.json")
    preferences.remember("name", "Tom")
    assert preferences.text("name") == "Tom"
