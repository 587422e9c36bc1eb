"""The cache lies where the platform keeps caches, and a file in it is whole or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from models.cache import cache_folder, is_whole

HOME = Path("/home/mei")


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", HOME / ".cache/hearth/models"),
        ({"XDG_CACHE_HOME": "/fast"}, "linux", Path("/fast/hearth/models")),
        ({"XDG_CACHE_HOME": "relative"}, "linux", HOME / ".cache/hearth/models"),
        ({}, "darwin", HOME / "Library/Caches/Hearth/models"),
        ({"LOCALAPPDATA": "/local"}, "win32", Path("/local/Hearth/Cache/models")),
        ({}, "win32", HOME / "AppData/Local/Hearth/Cache/models"),
        ({"HEARTH_HOME": "/mine", "XDG_CACHE_HOME": "/fast"}, "linux", Path("/mine/models")),
    ],
)
def test_where_the_cache_is(environment: dict[str, str], platform: str, expected: Path) -> None:
    assert cache_folder(environment, platform, HOME) == expected


def test_whole_means_size_and_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert is_whole(path, 3, sha256)
    assert not is_whole(path, 4, sha256)
    assert not is_whole(tmp_path / "other", 3, sha256)
    path.write_bytes(b"abd")
    assert not is_whole(path, 3, sha256)
