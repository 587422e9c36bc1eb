import QtQuick
import Hearth

// Title, time in the meeting, and how the connection is, in words.
Item {
    id: header

    required property Meeting meeting

    implicitHeight: Theme.space7

    Row {
        id: left
        anchors.left: parent.left
        anchors.leftMargin: Theme.space4
        anchors.verticalCenter: parent.verticalCenter
        spacing: Theme.space3

        Label {
            text: header.meeting.title
            font.weight: Theme.strong
            elide: Text.ElideRight
            width: Math.min(implicitWidth, header.width * 0.4)
            Accessible.role: Accessible.Heading
        }
        Label {
            text: header.meeting.elapsed
            color: Theme.muted
            font.features: { "tnum": 1 }
        }
    }

    Rectangle {
        anchors.right: parent.right
        anchors.rightMargin: Theme.space4
        anchors.verticalCenter: parent.verticalCenter
        width: state.width + Theme.space3 * 2
        height: 28
        radius: 14
        color: header.meeting.reconnecting ? Theme.raised : "transparent"

        Row {
            id: state
            anchors.centerIn: parent
            spacing: Theme.space2

            Icon {
                path: header.meeting.reconnecting ? Icons.warning : Icons.check
                size: 16
                color: header.meeting.reconnecting ? Theme.warn : Theme.good
                anchors.verticalCenter: parent.verticalCenter
            }
            Label {
                id: words
                text: header.meeting.words
                color: header.meeting.reconnecting ? Theme.text : Theme.muted
                anchors.verticalCenter: parent.verticalCenter
                onTextChanged: if (words.text.length > 0) words.Accessible.announce(words.text, Accessible.Assertive)
            }
        }
    }
}
