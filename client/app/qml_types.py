"""Writes qml/Hearth/hearth.qmltypes, which tells qmllint and editors what the bridge registers.

Run `python -m client.app.qml_types` after changing a class in client/bridge.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from client.app.resources import QML_FOLDER

BRIDGE = Path(__file__).resolve().parents[1] / "bridge"
TARGET = QML_FOLDER / "Hearth" / "hearth.qmltypes"


def tool(name: str) -> str:
    """The path of one of PySide's command line tools."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def describe() -> str:
    """The text of the types file for the bridge as it stands."""
    sources = sorted(path for path in BRIDGE.glob("*.py") if "QML_IMPORT_NAME" in path.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        metadata, types = Path(folder) / "bridge.json", Path(folder) / "hearth.qmltypes"
        _run(tool("pyside6-metaobjectdump"), "-o", str(metadata), *map(str, sources))
        described: list[dict[str, Any]] = json.loads(metadata.read_text("utf-8"))
        for file in described:
            file["inputFile"] = Path(file["inputFile"]).name
            for kind in file["classes"]:
                _complete(kind)
        metadata.write_text(json.dumps(described), "utf-8")
        _run(
            tool("pyside6-qmltyperegistrar"),
            *("--generate-qmltypes", str(types), "--import-name", "Hearth", "--major-version", "1"),
            *("-o", str(Path(folder) / "unused.cpp"), str(metadata)),
        )
        text = types.read_text("utf-8")
    return re.sub(r"^ *(file|lineNumber): .*\n", "", text, flags=re.MULTILINE)


def _complete(kind: dict[str, Any]) -> None:
    """Say what the dump leaves out: a property that nobody writes and that never notifies is constant."""
    for member in kind.get("properties", []):
        if "notify" not in member and "write" not in member:
            member["constant"] = True
        if member["type"] == "list":
            member["type"] = "QVariantList"


def _run(*command: str) -> None:
    # The registrar warns that Qt's own base classes are not in our files; qmllint finds them elsewhere.
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    """Write the file; returns the exit status."""
    TARGET.write_text(describe(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
