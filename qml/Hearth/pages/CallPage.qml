import QtQuick
import QtQuick.Templates as T
import Hearth

// The call: people first, controls second, chrome last.
FocusScope {
    id: page

    required property Program program
    readonly property Meeting meeting: program.meeting
    /// Whoever steers with the keyboard or hears the screen keeps the controls.
    property bool byKeyboard: false
    readonly property bool keyboardSeen: (Window.activeFocusItem as T.Control)?.visualFocus ?? false
    property bool moved: true
    readonly property bool controlsStay: byKeyboard || program.screenReader || panel.open
    readonly property bool controlsShown: controlsStay || moved || bar.busy || !meeting.inside
    readonly property alias panelOpen: panel.open

    /// Close the top thing only; false when nothing was open.
    function closeTop(): bool {
        if (!panel.open)
            return false;
        panel.open = false;
        bar.forceActiveFocus();
        return true;
    }

    function stir() {
        moved = true;
        quiet.restart();
    }

    focus: true
    onKeyboardSeenChanged: if (keyboardSeen) byKeyboard = true
    Keys.onPressed: event => {
        page.stir();
        event.accepted = false;
    }

    Timer {
        id: quiet
        interval: 4000
        running: true
        onTriggered: page.moved = false
    }

    HoverHandler {
        property point last: Qt.point(-1, -1)
        // The first position is where the pointer lies already: no movement of a person.
        onPointChanged: {
            const here = point.position;
            if (here.x === last.x && here.y === last.y)
                return;
            if (last.x >= 0)
                page.byKeyboard = false;
            last = here;
            page.stir();
        }
    }

    CallHeader {
        id: header
        meeting: page.meeting
        anchors.left: parent.left
        anchors.right: parent.right
        anchors.rightMargin: panel.taken
    }

    TileGrid {
        id: grid
        objectName: "tileGrid"
        meeting: page.meeting
        keepClear: page.controlsStay ? 0 : bar.height + Theme.space2
        anchors.left: parent.left
        anchors.right: parent.right
        anchors.top: header.bottom
        anchors.bottom: parent.bottom
        anchors.leftMargin: Theme.space4
        anchors.rightMargin: Theme.space4 + panel.taken
        // Controls that stay must not cover a name; those that float away may.
        anchors.bottomMargin: page.controlsStay ? bar.height + Theme.space4 + Theme.space2 : Theme.space4

        Behavior on anchors.bottomMargin {
            NumberAnimation { duration: Theme.placeTime; easing.type: Easing.OutCubic }
        }
    }

    Column {
        visible: page.meeting.inside && page.meeting.members.count === 1 && !panel.open
        anchors.horizontalCenter: grid.horizontalCenter
        anchors.bottom: bar.top
        anchors.bottomMargin: Theme.space4
        spacing: Theme.space2

        Rectangle {
            anchors.horizontalCenter: parent.horizontalCenter
            width: alone.implicitWidth + Theme.space4 * 2
            height: 36
            radius: 18
            color: Theme.scrim

            Label {
                id: alone
                anchors.centerIn: parent
                text: qsTr("You are the first. Copy the invitation and send it.")
                color: Theme.scrimInk
            }
        }
    }

    ControlBar {
        id: bar
        objectName: "controlBar"
        meeting: page.meeting
        shown: page.controlsShown
        peopleOpen: panel.open
        anchors.horizontalCenter: grid.horizontalCenter
        anchors.bottom: parent.bottom
        anchors.bottomMargin: Theme.space4
        focus: true
        onPeopleAsked: panel.open = !panel.open
    }

    MembersPanel {
        id: panel
        objectName: "membersPanel"
        meeting: page.meeting
        open: false
        onClosed: page.closeTop()
    }

    Shortcut {
        sequence: "M"
        onActivated: {
            page.stir();
            page.meeting.toggleMicrophone();
        }
    }
    Shortcut {
        sequence: "V"
        onActivated: {
            page.stir();
            page.meeting.toggleCamera();
        }
    }
    Shortcut {
        sequence: "P"
        onActivated: panel.open ? page.closeTop() : panel.open = true
    }
}
