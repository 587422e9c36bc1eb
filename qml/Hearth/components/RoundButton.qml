pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Hearth

// A round control with a drawing. What is off is hollow and crossed; its word shows on hover and focus.
T.Button {
    id: button

    required property string iconPath
    /// The word: read aloud, and shown above the button on hover and focus.
    required property string word
    property bool off: false
    property bool danger: false
    property bool chosen: false
    property bool wordBelow: false
    property string shortcutKey: ""
    property int size: 48
    readonly property color fill: danger ? Theme.danger : off ? Qt.alpha(Theme.raised, 0) : Theme.raised
    readonly property color ink: danger ? Theme.dangerInk : chosen ? Theme.accent : Theme.text

    implicitWidth: size
    implicitHeight: size
    focusPolicy: Qt.StrongFocus
    opacity: enabled ? 1 : 0.5
    Accessible.role: Accessible.Button
    Accessible.name: word
    Accessible.description: shortcutKey.length > 0 ? qsTr("Key %1").arg(shortcutKey) : ""
    Keys.onReturnPressed: click()
    Keys.onEnterPressed: click()

    HoverHandler {
        cursorShape: Qt.PointingHandCursor
    }

    contentItem: Item {
        Icon {
            anchors.centerIn: parent
            path: button.iconPath
            color: button.ink
            crossed: button.off
            filled: button.danger
            size: button.size >= 48 ? 24 : 20
        }
    }

    background: Rectangle {
        radius: height / 2
        color: Theme.shade(button.fill, button.hovered, button.down)
        border.width: button.off || button.chosen ? 2 : Theme.edgeWidth
        border.color: button.chosen ? Theme.accent : button.off ? Theme.edge : Theme.line

        Behavior on color {
            ColorAnimation { duration: Theme.stateTime }
        }

        FocusRing {
            target: parent
            shown: button.visualFocus
            around: button.height / 2
        }
    }

    Rectangle {
        id: bubble
        readonly property bool shown: button.hovered || button.visualFocus

        width: caption.implicitWidth + Theme.space3 * 2
        height: 28
        radius: Theme.controlRadius
        x: (button.width - width) / 2
        y: button.wordBelow ? button.height + Theme.space2 : -height - Theme.space3
        z: 1
        color: Theme.surface
        border.width: Theme.edgeWidth
        border.color: Theme.line
        opacity: shown ? 1 : 0
        visible: opacity > 0

        Behavior on opacity {
            NumberAnimation { duration: Theme.stateTime; easing.type: Easing.OutCubic }
        }

        Text {
            id: caption
            anchors.centerIn: parent
            text: button.shortcutKey.length > 0 ? button.word + "  " + button.shortcutKey : button.word
            font.pixelSize: Theme.smallText
            color: Theme.text
            textFormat: Text.PlainText
            Accessible.ignored: true
        }
    }
}
