import QtQuick
import Hearth

// Before the door: how the others will see and hear you, and who is inside already.
FocusScope {
    id: page

    required property Program program
    readonly property Meeting meeting: program.meeting
    readonly property Entrance entrance: program.entrance
    readonly property Devices devices: program.devices
    readonly property bool wide: width >= 760
    readonly property bool entering: meeting.entering

    RoundButton {
        id: back
        objectName: "backButton"
        x: Theme.space4
        y: Theme.space4
        size: Theme.hitTarget
        iconPath: Icons.back
        word: qsTr("Back")
        shortcutKey: "Esc"
        wordBelow: true
        z: 2
        onClicked: page.program.back()
    }
    Label {
        anchors.left: back.right
        anchors.leftMargin: Theme.space3
        anchors.right: parent.right
        anchors.rightMargin: Theme.space4
        anchors.verticalCenter: back.verticalCenter
        text: page.entrance.title.length > 0 ? page.entrance.title : qsTr("Ready to join")
        font.pixelSize: Theme.titleText
        font.weight: Theme.strong
        elide: Text.ElideRight
        Accessible.role: Accessible.Heading
    }

    Flickable {
        anchors.fill: parent
        anchors.topMargin: Theme.hitTarget + Theme.space6
        contentHeight: Math.max(height, both.height + Theme.space5)
        boundsBehavior: Flickable.StopAtBounds
        clip: true

        Grid {
            id: both
            columns: page.wide ? 2 : 1
            columnSpacing: Theme.space6
            rowSpacing: Theme.space4
            x: (page.width - width) / 2
            y: Math.max(0, (parent.height - height) / 2 - Theme.space5)

            SelfView {
                width: page.wide ? Math.min(640, page.width - 320 - 2 * Theme.space5 - Theme.space6)
                                 : Math.min(560, page.width - 2 * Theme.space5)
                program: page.program
            }

            Column {
                width: page.wide ? 320 : Math.min(560, page.width - 2 * Theme.space5)
                spacing: Theme.space4

                Picker {
                    objectName: "microphonePicker"
                    width: parent.width
                    label: qsTr("Microphone")
                    choices: page.devices.microphones
                    current: page.devices.microphoneIndex
                    problem: page.devices.microphoneProblem
                    nothing: qsTr("No microphone")
                    onOpening: page.devices.refresh()
                    onChosen: index => page.devices.chooseMicrophone(index)
                }
                LevelMeter {
                    objectName: "levelMeter"
                    width: parent.width
                    level: page.meeting.level
                    off: !page.meeting.microphoneOn
                }
                Picker {
                    objectName: "cameraPicker"
                    width: parent.width
                    label: qsTr("Camera")
                    choices: page.devices.cameras
                    current: page.devices.cameraIndex
                    problem: page.devices.cameraProblem
                    nothing: qsTr("No camera")
                    onOpening: page.devices.refresh()
                    onChosen: index => page.devices.chooseCamera(index)
                }
                TextField {
                    objectName: "preJoinName"
                    width: parent.width
                    label: qsTr("Your name")
                    text: page.entrance.name
                    problem: page.entrance.nameProblem
                    onEdited: text => page.entrance.name = text
                    onAccepted: page.entrance.join()
                }
                Label {
                    objectName: "insideLabel"
                    text: page.entrance.peopleInside === 0 ? qsTr("Nobody is inside yet")
                        : page.entrance.peopleInside === 1 ? qsTr("1 person is inside")
                        : qsTr("%1 people are inside").arg(page.entrance.peopleInside)
                    color: Theme.muted
                }
                Button {
                    objectName: "joinNowButton"
                    width: parent.width
                    height: 44
                    text: qsTr("Join now")
                    kind: Button.Primary
                    enabled: !page.entering
                    focus: true
                    onClicked: page.entrance.join()
                }
                Waiting {
                    objectName: "joinWaiting"
                    words: page.entering ? page.meeting.words : ""
                    height: running ? implicitHeight : 0
                    onCancelled: page.meeting.leave()
                }
                Notice {
                    objectName: "joinProblem"
                    width: parent.width
                    sentence: page.entering ? "" : page.program.joinProblem || page.entrance.invitationProblem
                }
                Notice {
                    objectName: "joinNote"
                    width: parent.width
                    informs: true
                    sentence: page.meeting.note
                }
            }
        }
    }

    Shortcut {
        sequence: "Escape"
        onActivated: page.program.back()
    }
}
