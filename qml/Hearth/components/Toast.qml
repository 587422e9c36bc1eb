import QtQuick
import Hearth

// A sentence that comes, stays long enough to be read, and goes.
Rectangle {
    id: toast

    property string sentence: ""
    property bool shown: false

    function show(words: string) {
        toast.sentence = words;
        toast.shown = true;
        away.restart();
        label.Accessible.announce(words, Accessible.Polite);
    }

    function hide() {
        toast.shown = false;
        away.stop();
    }

    width: Math.min(label.implicitWidth + Theme.space4 * 2, (parent?.width ?? 600) - Theme.space6)
    height: label.height + Theme.space3 * 2
    radius: Theme.controlRadius
    color: Theme.floating
    border.width: Theme.edgeWidth
    border.color: Theme.line
    opacity: shown ? 1 : 0
    visible: opacity > 0

    Behavior on opacity {
        NumberAnimation { duration: Theme.stateTime; easing.type: Easing.OutCubic }
    }

    Timer {
        id: away
        // Slow readers take about 60 ms per character.
        interval: 3000 + toast.sentence.length * 60
        onTriggered: toast.shown = false
    }

    Label {
        id: label
        anchors.centerIn: parent
        width: Math.min(implicitWidth, (toast.parent?.width ?? 600) - Theme.space6 - Theme.space4 * 2)
        text: toast.sentence
        wrapMode: Text.WordWrap
        horizontalAlignment: Text.AlignHCenter
        Accessible.role: Accessible.Notification
    }
}
