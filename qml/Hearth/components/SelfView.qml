import QtQuick
import Hearth

// Your own picture, mirrored as in a mirror, with the two switches below it.
Column {
    id: view

    required property Program program
    readonly property Meeting meeting: program.meeting

    spacing: Theme.space3

    Item {
        width: view.width
        height: Math.round(width * 9 / 16)
        Accessible.role: Accessible.Graphic
        Accessible.name: picture.present ? qsTr("Your picture") : qsTr("Your camera shows no picture")

        Rectangle {
            anchors.fill: parent
            color: Theme.surface
        }
        Column {
            anchors.centerIn: parent
            spacing: Theme.space3
            visible: !picture.present

            Icon {
                anchors.horizontalCenter: parent.horizontalCenter
                path: Icons.camera
                crossed: true
                size: 40
                color: Theme.muted
            }
            Label {
                text: view.meeting.cameraOn && view.program.devices.cameraProblem.length === 0
                      ? qsTr("Waiting for the camera") : qsTr("Camera is off")
                color: Theme.muted
                anchors.horizontalCenter: parent.horizontalCenter
            }
        }
        TilePicture {
            id: picture
            objectName: "selfView"
            anchors.fill: parent
            feed: view.meeting.feed
            memberId: "me"
            active: view.meeting.cameraOn
            mirrored: true
        }
        Rectangle {
            anchors.fill: parent
            anchors.margins: -6
            radius: Theme.cardRadius + 6
            color: "transparent"
            border.width: 6
            border.color: Theme.ground
        }
    }

    Row {
        anchors.horizontalCenter: parent.horizontalCenter
        spacing: Theme.space4

        RoundButton {
            objectName: "preJoinMicrophone"
            iconPath: Icons.microphone
            off: !view.meeting.microphoneOn
            word: view.meeting.microphoneOn ? qsTr("Mute") : qsTr("Unmute")
            shortcutKey: "M"
            wordBelow: true
            onClicked: view.meeting.toggleMicrophone()
        }
        RoundButton {
            objectName: "preJoinCamera"
            iconPath: Icons.camera
            off: !view.meeting.cameraOn
            word: view.meeting.cameraOn ? qsTr("Camera off") : qsTr("Camera on")
            shortcutKey: "V"
            wordBelow: true
            onClicked: view.meeting.toggleCamera()
        }
    }
}
