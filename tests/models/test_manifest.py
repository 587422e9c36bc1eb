"""The manifest is typed, complete and says clearly what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ManifestError
from models.manifest import load_manifest, parse_manifest
from tests.models.packages import make_manifest, make_package, manifest_text


def test_the_shipped_manifest_is_valid_and_every_source_is_used() -> None:
    manifest = load_manifest()
    assert {"carphone", "bikes", "bunny", "two-cities"} <= set(manifest.entries)
    text = Path(load_manifest.__defaults__[0]).read_text(encoding="utf-8")  # type: ignore[index]
    declared = {line[8:-1] for line in text.splitlines() if line.startswith("[source.")}
    assert declared == {entry.source.name for entry in manifest.entries.values()}


def test_the_shipped_manifest_names_no_registry_address() -> None:
    text = Path(load_manifest.__defaults__[0]).read_text(encoding="utf-8")  # type: ignore[index]
    assert "://" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": '"ABC"'}, "sha256 must be 64 lower-case"),
        ({"size": "0"}, "size must be a number of bytes above 0"),
        ({"size": "true"}, "size must be a number of bytes above 0"),
        ({"kind": '"movie"'}, "kind is 'movie'"),
        ({"file": '"../one.wav"'}, "must be a plain file name"),
        ({"member": '"/etc/passwd"'}, "must be a path inside the package"),
        ({"member": '"a/../../b"'}, "must be a path inside the package"),
        ({"source": '"elsewhere"'}, "'elsewhere' is not in the manifest"),
        ({"licence": ""}, "licence must be a text"),
        ({"colour": '"red"'}, "unknown field colour"),
        ({"name": '"two"'}, "appears twice"),
        ({"name": '"three"', "file": '"two.wav"'}, "appears twice"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, str], words: str) -> None:
    package = make_package(tmp_path)
    with pytest.raises(ManifestError) as caught:
        make_manifest(package, **change)
    assert words in str(caught.value)
    assert "ntry" in str(caught.value)


def test_what_is_not_toml_and_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="not valid TOML"):
        parse_manifest("[[entry")
    with pytest.raises(ManifestError, match="cannot be read"):
        load_manifest(tmp_path / "none.toml")
    with pytest.raises(ManifestError, match="must be a table"):
        parse_manifest("entry = [3]")
    with pytest.raises(ManifestError, match="unknown field colour"):
        parse_manifest("colour = 3")
    text = manifest_text(make_package(tmp_path)).replace('"pypi"', '"somewhere"')
    with pytest.raises(ManifestError, match="registry is 'somewhere'"):
        parse_manifest(text)


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"'three'. It has: one, two"):
        make_manifest(make_package(tmp_path)).entry("three")
