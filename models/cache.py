"""Where fetched files live, and how one is known to be whole."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from models.manifest import Entry

_BLOCK = 1 << 20


def cache_folder(
    environment: Mapping[str, str] | None = None, platform: str = sys.platform, home: Path | None = None
) -> Path:
    """The folder of fetched files: under HEARTH_HOME if that is set, else where the platform keeps caches."""
    env = os.environ if environment is None else environment
    home = Path.home() if home is None else home
    if env.get("HEARTH_HOME"):
        return Path(env["HEARTH_HOME"]).expanduser() / "models"
    if platform == "darwin":
        return home / "Library" / "Caches" / "Hearth" / "models"
    if platform == "win32":
        base = env.get("LOCALAPPDATA")
        return (Path(base) if base else home / "AppData" / "Local") / "Hearth" / "Cache" / "models"
    base = env.get("XDG_CACHE_HOME")
    # The XDG rules say that a relative path is to be ignored.
    return (Path(base) if base and Path(base).is_absolute() else home / ".cache") / "hearth" / "models"


def cached_path(folder: Path, entry: Entry) -> Path:
    """Where the entry lies in the cache. The digest is in the path, so two versions never share a file."""
    return folder / entry.sha256[:16] / entry.file


def sha256_of(stream: BinaryIO) -> str:
    """The digest of a stream from where it stands, in lower-case hex; reads 1 MiB at a time."""
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def is_whole(path: Path, size: int, sha256: str) -> bool:
    """True when the file is there with exactly this size and content."""
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb") as stream:
            return sha256_of(stream) == sha256
    except OSError:
        return False
