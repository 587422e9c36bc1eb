"""Import rules that the import linter cannot express: parts of PySide6, and what runs before set-up."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("rtc", "models", "server_lite", "client")
QUICK = ("PySide6.QtQuick", "PySide6.QtQml", "PySide6.QtQuickControls2", "PySide6.QtQuickWidgets")
QUICK_ROOMS = (("client", "bridge"), ("client", "app"))

#: Read by run.py with the system's Python, before anything is installed.
BEFORE_SETUP = (
    "client/__init__.py",
    "client/app/__init__.py",
    "client/app/display.py",
    "client/app/launch.py",
    "client/app/system_libraries.py",
    "client/app/doctor.py",
    "rtc/__init__.py",
    "rtc/fanout.py",
    "rtc/fanout_plans.py",
    "rtc/observation.py",
    "rtc/_fanout/__init__.py",
    "rtc/_fanout/loading.py",
)


def imported(path: Path) -> Iterator[str]:
    """Full names of what a file imports, wherever in the file; `from a import b` gives "a" and "a.b"."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_qt_quick_appears_in_bridge_and_app_alone() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if path.relative_to(ROOT).parts[:2] not in QUICK_ROOMS
        for name in imported(path)
        if name.startswith(QUICK)
    ]
    assert wrong == []


def test_what_runs_before_setup_needs_the_standard_library_alone() -> None:
    files = [ROOT / name for name in BEFORE_SETUP]
    files += [ROOT / "run.py", *(ROOT / "packaging/bootstrap").glob("*.py")]
    ours = (
        "bootstrap",
        "client.app",
        "client.app.display",
        "client.app.launch",
        "client.app.system_libraries",
        "rtc._fanout",
        "rtc.fanout",
        "rtc.observation",
    )
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names and name != "rtc" and not name.startswith(ours)
    ]
    assert wrong == []


def test_the_folder_packaging_does_not_hide_the_package_of_that_name() -> None:
    import packaging.version

    assert not (ROOT / "packaging/__init__.py").exists()
    assert packaging.version.Version("2.0") > packaging.version.Version("1.0")
