pragma ComponentBehavior: Bound
import QtQuick
import Hearth

// Who is here, and the invitation for those who are not yet.
Panel {
    id: panel

    required property Meeting meeting

    title: qsTr("People (%1)").arg(meeting.members.count)

    ListView {
        id: list
        anchors.fill: parent
        anchors.bottomMargin: invitation.height
        clip: true
        model: panel.meeting.members
        boundsBehavior: Flickable.StopAtBounds
        activeFocusOnTab: true
        keyNavigationEnabled: true
        Accessible.role: Accessible.List
        Accessible.name: qsTr("People in the meeting")
        delegate: MemberRow {
            width: list.width
        }
    }

    Column {
        id: invitation
        anchors.left: parent.left
        anchors.right: parent.right
        anchors.bottom: parent.bottom
        leftPadding: Theme.space4
        rightPadding: Theme.space4
        bottomPadding: Theme.space4
        spacing: Theme.space2

        Rectangle {
            width: panel.width - 2 * Theme.space4
            height: Theme.edgeWidth
            color: Theme.line
        }
        Label {
            visible: panel.meeting.invitationCode.length > 0
            text: qsTr("Code to read out")
            color: Theme.muted
            font.pixelSize: Theme.smallText
        }
        Label {
            visible: panel.meeting.invitationCode.length > 0
            width: panel.width - 2 * Theme.space4
            text: panel.meeting.invitationCode
            font.features: { "tnum": 1 }
            wrapMode: Text.Wrap
        }
        Button {
            width: panel.width - 2 * Theme.space4
            text: qsTr("Copy invitation")
            iconPath: Icons.invite
            onClicked: panel.meeting.copyInvitation()
        }
    }
}
