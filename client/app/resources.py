"""Where the program's own files lie, in a checkout, in an installed package and in a bundle."""

from __future__ import annotations

import sys
from pathlib import Path

#: The folder above the packages: a checkout's root, site-packages, or the bundle's folder.
ROOT = Path(getattr(sys, "_MEIPASS", Path(__file__).resolve().parents[2]))

#: The folder to add to QML's import path; the module `Hearth` lies in it.
QML_FOLDER = ROOT / "qml"
