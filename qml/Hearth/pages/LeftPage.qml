pragma ComponentBehavior: Bound
import QtQuick
import Hearth

// After the meeting: what happened, and a way on.
FocusScope {
    id: page

    required property Program program
    readonly property Meeting meeting: program.meeting
    readonly property bool failed: meeting.problem.length > 0
    property bool detailed: false

    Component.onCompleted: heading.Accessible.announce(sentence.text, Accessible.Polite)

    Column {
        anchors.centerIn: parent
        width: Math.min(460, parent.width - 2 * Theme.space5)
        spacing: Theme.space4

        Icon {
            anchors.horizontalCenter: parent.horizontalCenter
            path: page.failed ? Icons.warning : Icons.flame
            color: page.failed ? Theme.warn : Theme.accent
            size: 48
        }
        Label {
            id: heading
            width: parent.width
            horizontalAlignment: Text.AlignHCenter
            text: page.failed ? qsTr("The meeting has ended for you") : qsTr("You left the meeting")
            font.pixelSize: Theme.titleText
            font.weight: Theme.strong
            wrapMode: Text.WordWrap
            Accessible.role: Accessible.Heading
        }
        Label {
            id: sentence
            objectName: "leftSentence"
            width: parent.width
            horizontalAlignment: Text.AlignHCenter
            text: page.failed ? page.meeting.problem
                              : qsTr("You can join again as long as others are there.")
            color: Theme.muted
            wrapMode: Text.WordWrap
        }
        Row {
            anchors.horizontalCenter: parent.horizontalCenter
            spacing: Theme.space3
            topPadding: Theme.space2

            Button {
                objectName: "rejoinButton"
                text: page.failed ? qsTr("Try again") : qsTr("Join again")
                onClicked: page.program.rejoin()
            }
            Button {
                objectName: "startButton"
                text: qsTr("Back to start")
                kind: Button.Primary
                focus: true
                onClicked: page.program.start()
            }
        }
        Button {
            visible: page.failed && page.meeting.problemCode.length > 0
            anchors.horizontalCenter: parent.horizontalCenter
            kind: Button.Quiet
            text: page.detailed ? qsTr("Hide details") : qsTr("Details")
            onClicked: page.detailed = !page.detailed
        }
        TextEdit {
            visible: page.failed && page.detailed
            width: parent.width
            horizontalAlignment: Text.AlignHCenter
            readOnly: true
            selectByMouse: true
            text: page.meeting.problemCode
            color: Theme.muted
            selectionColor: Theme.accent
            selectedTextColor: Theme.accentInk
            font.pixelSize: Theme.smallText
            Accessible.name: qsTr("Details")
        }
    }
}
