pragma ComponentBehavior: Bound
import QtQuick
import Hearth

// A wait in words: silent for 300 ms, then it says where it is, and after 5 s it offers a way out.
Item {
    id: waiting

    required property string words
    readonly property bool running: words.length > 0
    property bool told: false
    property bool long: false
    signal cancelled

    implicitHeight: Theme.hitTarget
    implicitWidth: row.implicitWidth
    opacity: told ? 1 : 0
    visible: opacity > 0

    onRunningChanged: {
        told = false;
        long = false;
    }
    onToldChanged: if (told) label.Accessible.announce(words, Accessible.Polite)

    Timer {
        running: waiting.running
        interval: 300
        onTriggered: waiting.told = true
    }
    Timer {
        running: waiting.running
        interval: 5000
        onTriggered: waiting.long = true
    }

    Row {
        id: row
        spacing: Theme.space3
        height: parent.height

        // Three embers that glow one after the other: something goes on, without hurry.
        Row {
            spacing: 6
            anchors.verticalCenter: parent.verticalCenter

            Repeater {
                model: 3

                Rectangle {
                    id: ember
                    required property int index

                    width: 8
                    height: 8
                    radius: 4
                    color: Theme.accent
                    opacity: 0.35

                    SequentialAnimation on opacity {
                        running: waiting.visible && !Theme.reducedMotion
                        loops: Animation.Infinite
                        PauseAnimation { duration: ember.index * 200 }
                        NumberAnimation { to: 1; duration: 400; easing.type: Easing.InOutSine }
                        NumberAnimation { to: 0.35; duration: 400; easing.type: Easing.InOutSine }
                        PauseAnimation { duration: (2 - ember.index) * 200 + 200 }
                    }
                }
            }
        }

        Label {
            id: label
            text: waiting.words
            color: Theme.muted
            anchors.verticalCenter: parent.verticalCenter
        }

        Button {
            text: qsTr("Cancel")
            kind: Button.Quiet
            visible: waiting.long
            onClicked: waiting.cancelled()
        }
    }
}
