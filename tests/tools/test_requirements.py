"""The pinned sets: each line has a version and hashes, none names a place to fetch from, and they agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("pip.txt", "app.txt", "test.txt", "gpu.txt")
PIN = re.compile(r"(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+))? \\")


def pins(name: str) -> list[tuple[str, str, str]]:
    """(package, version, marker) of each line of a requirement file."""
    text = (ROOT / "requirements" / name).read_text()
    found = [PIN.match(line) for line in text.splitlines() if not line.startswith((" ", "#"))]
    assert all(found), "a line is not pinned"
    return [(pin["name"], pin["version"], (pin["marker"] or "").strip()) for pin in found if pin]


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    assert not text.startswith("#")


def test_the_sets_agree_where_they_meet() -> None:
    app = {(name, marker): version for name, version, marker in pins("app.txt")}
    for other in ("test.txt", "gpu.txt"):
        for name, version, _ in pins(other):
            versions = {known for (package, _), known in app.items() if package == name}
            assert not versions or version in versions, f"{other} wants another {name}"


@pytest.mark.parametrize("package", ["pyside6-essentials", "pyside6-addons", "shiboken6"])
def test_pyside_goes_by_the_version_of_python(package: str) -> None:
    chosen = {version: marker for name, version, marker in pins("app.txt") if name == package}
    assert chosen == {
        "6.11.3": "python_full_version < '3.12'",
        "6.12.0": "python_full_version >= '3.12'",
    }


def test_pins_that_others_rely_on() -> None:
    app = {name: version for name, version, _ in pins("app.txt")}
    assert app["aiortc"] == "1.16.0"
    assert app["av"] == "18.1.0"
    assert {name: version for name, version, _ in pins("gpu.txt")}["torch"] == "2.13.0"


def test_the_project_and_the_pinned_set_name_the_same_packages() -> None:
    def names(lines: list[str]) -> set[str]:
        return {re.split(r"[ =<>;]", line)[0].lower() for line in lines if line and not line.startswith("#")}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert names(project["dependencies"]) == names((ROOT / "requirements/app.in").read_text().splitlines())
