import QtQuick
import Hearth

// Microphone, camera, people, invitation, leave: floats at the bottom centre, the same everywhere.
FocusScope {
    id: bar

    required property Meeting meeting
    required property bool shown
    property bool peopleOpen: false
    readonly property bool busy: hover.hovered
    signal peopleAsked

    width: row.width + Theme.space3 * 2
    height: 48 + Theme.space2 * 2
    opacity: shown ? 1 : 0
    visible: opacity > 0
    Accessible.role: Accessible.ToolBar
    Accessible.name: qsTr("Meeting controls")

    Behavior on opacity {
        NumberAnimation { duration: Theme.placeTime; easing.type: Easing.OutCubic }
    }

    HoverHandler {
        id: hover
    }

    Rectangle {
        anchors.fill: parent
        radius: height / 2
        color: Theme.floating
        border.width: Theme.edgeWidth
        border.color: Theme.line
    }

    Row {
        id: row
        anchors.centerIn: parent
        spacing: Theme.space2

        RoundButton {
            objectName: "microphoneButton"
            iconPath: Icons.microphone
            off: !bar.meeting.microphoneOn
            word: bar.meeting.microphoneOn ? qsTr("Mute") : qsTr("Unmute")
            shortcutKey: "M"
            focus: true
            onClicked: bar.meeting.toggleMicrophone()
        }
        RoundButton {
            objectName: "cameraButton"
            iconPath: Icons.camera
            off: !bar.meeting.cameraOn
            word: bar.meeting.cameraOn ? qsTr("Camera off") : qsTr("Camera on")
            shortcutKey: "V"
            onClicked: bar.meeting.toggleCamera()
        }
        RoundButton {
            objectName: "peopleButton"
            iconPath: Icons.people
            chosen: bar.peopleOpen
            word: qsTr("People (%1)").arg(bar.meeting.members.count)
            shortcutKey: "P"
            onClicked: bar.peopleAsked()
        }
        RoundButton {
            objectName: "inviteButton"
            iconPath: Icons.invite
            word: qsTr("Copy invitation")
            onClicked: bar.meeting.copyInvitation()
        }
        Item {
            width: Theme.space2
            height: 1
        }
        Button {
            objectName: "leaveButton"
            anchors.verticalCenter: parent.verticalCenter
            text: qsTr("Leave")
            iconPath: Icons.leave
            kind: Button.Danger
            height: 44
            onClicked: bar.meeting.leave()
        }
    }
}
