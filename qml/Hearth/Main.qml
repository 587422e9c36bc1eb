pragma ComponentBehavior: Bound
import QtQuick
import Hearth

// The window: one page at a time, and the keys that work on all of them.
Window {
    id: window

    required property Program program
    /// Whether anybody can see the window.
    readonly property bool watched: window.visibility !== Window.Minimized

    width: 1280
    height: 720
    minimumWidth: 480
    minimumHeight: 400
    visible: true
    title: program.page === "call" && program.meeting.title.length > 0 ? program.meeting.title + " · Hearth" : "Hearth"
    color: Theme.ground

    onClosing: program.close()
    onWatchedChanged: program.meeting.watch(watched)

    function toggleFullScreen() {
        visibility = visibility === Window.FullScreen ? Window.Windowed : Window.FullScreen;
    }

    Binding {
        target: Theme
        property: "inCall"
        value: window.program.page === "call"
    }

    Loader {
        id: loader
        anchors.fill: parent
        focus: true
        sourceComponent: window.program.page === "call" ? call
                       : window.program.page === "prejoin" ? preJoin
                       : window.program.page === "left" ? left : start
        onLoaded: (item as Item).forceActiveFocus()
    }

    Connections {
        target: window.program.meeting

        function onNoted(sentence: string) {
            toast.show(sentence);
        }
    }

    Toast {
        id: toast
        objectName: "toast"
        anchors.horizontalCenter: parent.horizontalCenter
        anchors.top: parent.top
        anchors.topMargin: Theme.space7 + Theme.space2
        z: 3
    }

    Component {
        id: start
        StartPage {
            program: window.program
        }
    }
    Component {
        id: preJoin
        PreJoinPage {
            program: window.program
        }
    }
    Component {
        id: call
        CallPage {
            program: window.program
        }
    }
    Component {
        id: left
        LeftPage {
            program: window.program
        }
    }

    Shortcut {
        sequence: "F"
        enabled: window.program.page === "call"
        onActivated: window.toggleFullScreen()
    }
    Shortcut {
        sequence: "Escape"
        enabled: window.program.page === "call"
        onActivated: {
            const page = loader.item as CallPage;
            if (page !== null && !page.closeTop() && window.visibility === Window.FullScreen)
                window.toggleFullScreen();
        }
    }
}
