"""The QML module as text: lint, types, sizes, and that every file is listed."""

from __future__ import annotations

import subprocess

from client.app.qml_types import TARGET, describe, tool
from client.app.resources import QML_FOLDER

FILES = sorted(QML_FOLDER.rglob("*.qml"))


def test_qmllint_finds_nothing() -> None:
    command = [tool("pyside6-qmllint"), "-I", str(QML_FOLDER), "--max-warnings", "0", *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_types_file_describes_the_bridge_as_it_is() -> None:
    assert TARGET.read_text("utf-8") == describe(), "run `python -m client.app.qml_types`"


def test_every_file_is_listed_and_short() -> None:
    listed = {line.split()[-1] for line in (QML_FOLDER / "Hearth" / "qmldir").read_text().splitlines()}
    for file in FILES:
        assert file.relative_to(QML_FOLDER / "Hearth").as_posix() in listed
        assert len(file.read_text("utf-8").splitlines()) <= 300


def test_nothing_comes_from_a_context_property() -> None:
    from client.app.resources import ROOT

    sources = [*(ROOT / "client" / "bridge").glob("*.py"), *(ROOT / "client" / "app").glob("*.py")]
    assert not [path for path in sources if "setContextProperty" in path.read_text("utf-8")]
