import QtQuick
import Hearth

// A sentence where something happened: what went wrong and what to do. Takes no room while it is empty.
Item {
    id: notice

    required property string sentence
    property bool informs: false
    readonly property color ink: informs ? Theme.muted : Theme.danger

    visible: sentence.length > 0
    implicitHeight: visible ? text.implicitHeight : 0
    implicitWidth: 240

    onSentenceChanged: {
        if (sentence.length > 0)
            text.Accessible.announce(sentence, Accessible.Polite);
    }

    Icon {
        id: sign
        path: notice.informs ? Icons.info : Icons.warning
        size: 16
        color: notice.ink
        y: 2
    }

    Label {
        id: text
        anchors.left: sign.right
        anchors.leftMargin: Theme.space2
        anchors.right: parent.right
        text: notice.sentence
        color: notice.ink
        wrapMode: Text.WordWrap
        Accessible.role: Accessible.AlertMessage
    }
}
