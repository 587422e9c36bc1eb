"""Small packages made on the spot, and the manifest that pins them."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from models.manifest import Manifest, parse_manifest

MEMBERS = {"voices/data/one.wav": b"one" * 400, "voices/data/two.wav": b"two" * 300}
FILE = "voices-1.0-py3-none-any.whl"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_package(folder: Path) -> Path:
    """A wheel-like zip with two members, the same bytes each time."""
    path = folder / FILE
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in MEMBERS.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return path


def manifest_text(package: Path, **changes: str) -> str:
    """TOML for the package; `changes` replace or add `field = value` in the first entry."""
    data = package.read_bytes()
    source = f"""
[source.voices]
registry = "pypi"
package = "voices"
version = "1.0"
file = "{FILE}"
size = {len(data)}
sha256 = "{digest(data)}"
"""
    entries = []
    for number, (member, content) in enumerate(MEMBERS.items()):
        name = Path(member).stem
        fields = {
            "name": f'"{name}"',
            "version": '"1.0"',
            "kind": '"test-speech"',
            "file": f'"{name}.wav"',
            "size": str(len(content)),
            "sha256": f'"{digest(content)}"',
            "licence": '"MIT"',
            "source": '"voices"',
            "member": f'"{member}"',
        }
        if number == 0:
            fields.update(changes)
        entries.append(
            "[[entry]]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items() if value)
        )
    return source + "\n".join(entries)


def make_manifest(package: Path, **changes: str) -> Manifest:
    return parse_manifest(manifest_text(package, **changes))
