"""Qt's side of the desktop program: the application, the engine and the one window."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QStandardPaths, QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtQuick import QQuickWindow

from client.app.resources import QML_FOLDER
from client.bridge import devices, entrance, layout, meeting, members, pictures, program

#: Modules whose classes QML uses: importing them registers the types.
REGISTERED = (devices, entrance, layout, meeting, members, pictures, program)


class WindowError(RuntimeError):
    """The window could not be made; str() is a sentence."""


def make_application() -> QGuiApplication:
    """The application, named so that its files lie where a person looks for them."""
    existing = QGuiApplication.instance()
    application = existing if isinstance(existing, QGuiApplication) else QGuiApplication(["hearth"])
    application.setApplicationName("hearth")
    application.setApplicationDisplayName("Hearth")
    application.setDesktopFileName("hearth")
    return application


def preferences_path() -> Path:
    """Where the preferences lie; HEARTH_CONFIG_DIR overrides the system's place."""
    chosen = os.environ.get("HEARTH_CONFIG_DIR")
    place = QStandardPaths.StandardLocation.AppConfigLocation
    return Path(chosen or QStandardPaths.writableLocation(place)) / "preferences.json"


class Window:
    """The engine and the window. Close it before the program it shows goes away."""

    def __init__(self, shown: program.Program, size: tuple[int, int] | None = None) -> None:
        self._complaints: list[str] = []
        self.engine = QQmlApplicationEngine()
        self.engine.addImportPath(QUrl.fromLocalFile(str(QML_FOLDER)).toLocalFile())
        properties: dict[str, Any] = {"program": shown}
        if size is not None:
            properties.update(width=size[0], height=size[1])
        self.engine.setInitialProperties(properties)
        self.engine.warnings.connect(self._remember)
        self.engine.loadFromModule("Hearth", "Main")
        roots = self.engine.rootObjects()
        if not roots or not isinstance(roots[0], QQuickWindow):
            raise WindowError(
                "The window could not be built. Install Hearth again. " + "; ".join(self._complaints)
            )
        self.window: QQuickWindow = roots[0]

    def screenshot(self, path: Path) -> bool:
        """Write a picture of the window; False when that failed."""
        image = self.window.grabWindow()
        path.parent.mkdir(parents=True, exist_ok=True)
        return not image.isNull() and image.save(str(path))

    def close(self) -> None:
        """Destroy the window and everything in it while what it shows is still there."""
        self.window.close()
        self.window.deleteLater()
        self.engine.deleteLater()
        # No other events: this may run inside an asyncio task, and another one must not start in it.
        QGuiApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

    def _remember(self, errors: list[Any]) -> None:
        self._complaints += [error.toString() for error in errors]
