import QtQuick
import Hearth

// Your name, a new meeting, or the way into one.
FocusScope {
    id: page

    required property Program program
    readonly property Entrance entrance: program.entrance
    readonly property bool waits: entrance.waiting.length > 0
    readonly property bool wide: width >= 720

    // Once, not as a binding: the keyboard must not jump away while somebody types a name.
    Component.onCompleted: (entrance.name.length === 0 ? name : newMeeting).focus = true

    Row {
        x: Theme.space5
        y: Theme.space5
        spacing: Theme.space2

        Icon {
            path: Icons.flame
            color: Theme.accent
            size: 28
            anchors.verticalCenter: parent.verticalCenter
        }
        Label {
            text: "Hearth"
            font.pixelSize: Theme.titleText
            font.weight: Theme.strong
            anchors.verticalCenter: parent.verticalCenter
            Accessible.role: Accessible.Heading
        }
    }

    Flickable {
        anchors.fill: parent
        anchors.topMargin: Theme.space7 + Theme.space4
        contentHeight: Math.max(height, column.implicitHeight + Theme.space5)
        boundsBehavior: Flickable.StopAtBounds
        clip: true

        Column {
            id: column
            width: Math.min(640, page.width - 2 * Theme.space5)
            x: (page.width - width) / 2
            y: Math.max(0, (parent.height - implicitHeight) / 2 - Theme.space6)
            spacing: Theme.space5

            Column {
                width: parent.width
                spacing: Theme.space1

                Label {
                    width: parent.width
                    text: qsTr("Meet the people around you")
                    font.pixelSize: Theme.displayText
                    font.weight: Theme.strong
                    wrapMode: Text.WordWrap
                    lineHeight: 1.2
                    Accessible.role: Accessible.Heading
                }
                Label {
                    width: parent.width
                    text: qsTr("Meetings run on your own computers and need no account.")
                    color: Theme.muted
                    wrapMode: Text.WordWrap
                }
            }

            TextField {
                id: name
                objectName: "nameField"
                width: Math.min(parent.width, 308)
                label: qsTr("Your name")
                text: page.entrance.name
                problem: page.entrance.nameProblem
                onEdited: text => page.entrance.name = text
                onAccepted: page.entrance.newMeeting()
            }

            Grid {
                width: parent.width
                columns: page.wide ? 2 : 1
                columnSpacing: Theme.space5
                rowSpacing: Theme.space4

                StartCard {
                    id: startCard
                    width: page.wide ? (column.width - Theme.space5) / 2 : column.width
                    height: page.wide ? Math.max(implicitHeight, joinCard.implicitHeight) : implicitHeight
                    title: qsTr("Start one")
                    words: qsTr("With an invitation for others.")
                    problem: page.entrance.meetingProblem

                    Button {
                        id: newMeeting
                        objectName: "newMeetingButton"
                        width: parent?.width ?? 0
                        text: qsTr("New meeting")
                        kind: Button.Primary
                        enabled: !page.waits
                        onClicked: page.entrance.newMeeting()
                    }
                }

                StartCard {
                    id: joinCard
                    width: page.wide ? (column.width - Theme.space5) / 2 : column.width
                    height: page.wide ? Math.max(implicitHeight, startCard.implicitHeight) : implicitHeight
                    title: qsTr("Join one")
                    words: qsTr("With a link or a code from others.")
                    problem: page.entrance.invitationProblem

                    Row {
                        width: parent?.width ?? 0
                        spacing: Theme.space2

                        TextField {
                            id: invitation
                            objectName: "invitationField"
                            width: parent.width - join.width - parent.spacing
                            label: qsTr("Code or link")
                            labelShown: false
                            placeholder: qsTr("Code or link")
                            maximumLength: 1000
                            onAccepted: page.entrance.knock(text)
                        }
                        Button {
                            id: join
                            objectName: "joinButton"
                            text: qsTr("Join")
                            enabled: !page.waits
                            onClicked: page.entrance.knock(invitation.text)
                        }
                    }
                }
            }

            Waiting {
                objectName: "startWaiting"
                words: page.entrance.waiting
                onCancelled: page.entrance.cancel()
            }
        }
    }
}
