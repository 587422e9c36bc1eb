"""What the program remembers between runs, as a small JSON file."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

#: A file larger than this was not written by us and is not read, in bytes.
SIZE_LIMIT = 64 * 1024


class Preferences:
    """Values by key. A file that is missing, broken or not writable costs the memory, never the program."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._values = _read(path)

    def text(self, key: str) -> str:
        """The remembered text; empty when there is none."""
        value = self._values.get(key)
        return value if isinstance(value, str) else ""

    def remember(self, key: str, value: str) -> None:
        """Keep `value` and write the file whole, so that a crash leaves the old one or the new one."""
        if self._values.get(key) == value:
            return
        self._values[key] = value
        if self._path is not None:
            with suppress(OSError):
                _write(self._path, self._values)


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        if path.stat().st_size > SIZE_LIMIT:
            return {}
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        json.dump(values, file, ensure_ascii=False, indent=2)
    os.replace(file.name, path)
