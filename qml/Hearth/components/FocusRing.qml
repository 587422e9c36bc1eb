import QtQuick
import Hearth

// Shows where the keyboard is; lies outside its control so that nothing moves.
Rectangle {
    required property Item target
    required property bool shown
    property real around: Theme.controlRadius

    anchors.fill: target
    anchors.margins: -3
    radius: around + 3
    color: "transparent"
    border.width: 2
    border.color: Theme.focus
    visible: shown
}
