import QtQuick
import Hearth

// A panel at the right side of the window. It slides in; below 900 px it covers the page.
FocusScope {
    id: panel

    required property string title
    required property bool open
    default property alias content: body.data
    readonly property bool covers: parent !== null && parent.width < 900
    readonly property int wide: covers ? Math.min(400, parent?.width ?? 400) : 320
    /// How much room the panel takes from the page beside it.
    readonly property real taken: covers ? 0 : wide * shown
    property real shown: open ? 1 : 0
    signal closed

    width: wide
    x: (parent?.width ?? 0) - wide * shown
    height: parent?.height ?? 0
    visible: shown > 0
    enabled: open
    Accessible.role: Accessible.Pane
    Accessible.name: title

    Behavior on shown {
        NumberAnimation { duration: Theme.placeTime; easing.type: Easing.OutCubic }
    }

    onOpenChanged: if (open) closer.forceActiveFocus(Qt.OtherFocusReason)

    Rectangle {
        anchors.fill: parent
        color: Theme.surface

        Rectangle {
            width: Theme.edgeWidth
            height: parent.height
            color: Theme.line
        }
    }

    // Clicks on the panel are the panel's.
    MouseArea {
        anchors.fill: parent
        acceptedButtons: Qt.AllButtons
    }

    Label {
        x: Theme.space4
        anchors.verticalCenter: closer.verticalCenter
        text: panel.title
        font.pixelSize: Theme.largeText
        font.weight: Theme.strong
        Accessible.role: Accessible.Heading
    }

    RoundButton {
        id: closer
        size: Theme.hitTarget
        anchors.right: parent.right
        anchors.top: parent.top
        anchors.margins: Theme.space2
        iconPath: Icons.close
        off: false
        word: qsTr("Close")
        shortcutKey: "Esc"
        wordBelow: true
        onClicked: panel.closed()
        z: 2
    }

    Item {
        id: body
        anchors.fill: parent
        anchors.topMargin: Theme.space7 + Theme.space2
    }
}
