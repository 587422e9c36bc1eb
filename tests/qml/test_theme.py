"""The tokens hold their promises: text 4.5:1 on every ground, control edges 3:1."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from PySide6.QtGui import QColor
from PySide6.QtQml import QQmlComponent, QQmlEngine

from client.app.resources import QML_FOLDER

APPEARANCES = ("darkTones", "lightTones", "darkContrastTones", "lightContrastTones")
GROUNDS = ("ground", "surface", "raised")


_HOLDER = b"""
import QtQuick
import Hearth
QtObject {
    property string appearance: "darkTones"
    property string name: "ground"
    readonly property color tone: (Theme as QtObject)[appearance][name]
    readonly property color ground: Theme.ground
    readonly property color scrim: Theme.scrim
    readonly property color scrimInk: Theme.scrimInk
    readonly property int edgeWidth: Theme.edgeWidth
    property bool preferDark: false
    property bool inCall: false
    property bool highContrast: false
    onPreferDarkChanged: Theme.preferDark = preferDark
    onInCallChanged: Theme.inCall = inCall
    onHighContrastChanged: Theme.highContrast = highContrast
    Component.onCompleted: {
        Theme.preferDark = false;
        Theme.highContrast = false;
    }
}
"""


def tone(theme: Any, appearance: str, name: str) -> QColor:
    """The colour called `name` of one appearance."""
    theme.setProperty("appearance", appearance)
    theme.setProperty("name", name)
    return theme.property("tone")


@pytest.fixture
def theme(application: Any) -> Any:
    engine = QQmlEngine()
    engine.addImportPath(str(QML_FOLDER))
    component = QQmlComponent(engine)
    component.setData(_HOLDER, "")
    holder = component.create()
    assert holder is not None, component.errorString()
    yield holder
    holder.deleteLater()
    del holder, component
    engine.deleteLater()
    application.processEvents()


def contrast(one: QColor, other: QColor) -> float:
    """WCAG 2.2's contrast ratio of two opaque colours."""

    def luminance(colour: QColor) -> float:
        channels = (colour.redF(), colour.greenF(), colour.blueF())
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("appearance", APPEARANCES)
def test_text_can_be_read_on_every_ground(theme: Any, appearance: str) -> None:
    def tones(name: str) -> QColor:
        return tone(theme, appearance, name)

    inks = ("text", "muted", "danger", "good", "warn", "accent")
    for ink, ground in product(inks, GROUNDS):
        ratio = contrast(tones(ink), tones(ground))
        assert ratio >= 4.5, f"{appearance}: {ink} on {ground} is {ratio:.2f}"
    assert contrast(tones("accentInk"), tones("accent")) >= 4.5
    assert contrast(tones("dangerInk"), tones("danger")) >= 4.5


@pytest.mark.parametrize("appearance", APPEARANCES)
def test_edges_and_focus_can_be_seen(theme: Any, appearance: str) -> None:
    def tones(name: str) -> QColor:
        return tone(theme, appearance, name)

    for edge, ground in product(("edge", "focus"), GROUNDS):
        assert contrast(tones(edge), tones(ground)) >= 3


def test_names_can_be_read_over_the_whitest_picture(theme: Any) -> None:
    scrim: QColor = theme.property("scrim")
    over = [1 - scrim.alphaF() + scrim.alphaF() * c for c in (scrim.redF(), scrim.greenF(), scrim.blueF())]
    assert contrast(theme.property("scrimInk"), QColor.fromRgbF(*over)) >= 4.5


def test_a_call_is_dark_whatever_the_system_says(theme: Any) -> None:
    light = theme.property("ground")
    theme.setProperty("inCall", True)
    assert theme.property("ground") == QColor("#15171A")
    theme.setProperty("inCall", False)
    assert theme.property("ground") == light == QColor("#F6F3EE")
    theme.setProperty("highContrast", True)
    assert (theme.property("ground"), theme.property("edgeWidth")) == (QColor("#FFFFFF"), 2)
