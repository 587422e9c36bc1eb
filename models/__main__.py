"""`python -m models list` and `python -m models fetch NAME...`: what is pinned, and have it here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.cache import cache_folder
from models.errors import FetchError, ManifestError
from models.fetch import fetch, missing
from models.manifest import load_manifest
from models.progress import TerminalBar, megabytes


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the two verbs; 0 when everything asked for is on this machine."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="every pinned file, its size and licence, and whether it is here")
    getter = verbs.add_parser("fetch", help="download what is missing and check it")
    getter.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    getter.add_argument("--offline", type=Path, metavar="FOLDER", help="take package files from this folder")
    options = parser.parse_args(argv)
    try:
        return _list() if options.verb == "list" else _fetch(options.names, options.offline)
    except (FetchError, ManifestError) as error:
        print(error, file=sys.stderr)
        return 1


def _list() -> int:
    entries = load_manifest().entries
    absent = {entry.name for entry in missing(entries)}
    for entry in entries.values():
        state = "missing" if entry.name in absent else "here"
        print(f"{entry.name:14} {entry.kind:12} {megabytes(entry.size):>9}  {entry.licence:13} {state}")
    print(f"Kept in {cache_folder()}")
    return 0


def _fetch(names: Sequence[str], offline: Path | None) -> int:
    bar = TerminalBar(sys.stderr)
    try:
        paths = fetch(names or load_manifest().entries, progress=bar, offline=offline)
    finally:
        bar.close()
    for name, path in paths.items():
        print(f"{name}: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
