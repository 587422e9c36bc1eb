import QtQuick
import Hearth

// One person in the list of members.
Item {
    id: row

    required property string name
    required property bool isMe
    required property bool microphone
    required property bool camera
    required property bool connected
    required property string initials
    required property color colour

    implicitHeight: 48
    Accessible.role: Accessible.ListItem
    Accessible.name: [isMe ? qsTr("%1, you").arg(name) : name,
                      microphone ? qsTr("microphone on") : qsTr("muted"),
                      camera ? qsTr("camera on") : qsTr("camera off"),
                      connected ? "" : qsTr("connection lost")].filter(part => part.length > 0).join(", ")

    Avatar {
        id: avatar
        x: Theme.space4
        anchors.verticalCenter: parent.verticalCenter
        width: 32
        height: 32
        initials: row.initials
        colour: row.colour
    }
    Label {
        anchors.left: avatar.right
        anchors.leftMargin: Theme.space3
        anchors.right: signs.left
        anchors.rightMargin: Theme.space2
        anchors.verticalCenter: parent.verticalCenter
        text: row.isMe ? qsTr("%1 (you)").arg(row.name) : row.name
        color: row.connected ? Theme.text : Theme.muted
        elide: Text.ElideRight
        Accessible.ignored: true
    }
    Row {
        id: signs
        anchors.right: parent.right
        anchors.rightMargin: Theme.space4
        anchors.verticalCenter: parent.verticalCenter
        spacing: Theme.space3

        Icon {
            path: Icons.microphone
            crossed: !row.microphone
            size: 18
            color: row.microphone ? Theme.text : Theme.muted
        }
        Icon {
            path: Icons.camera
            crossed: !row.camera
            size: 18
            color: row.camera ? Theme.text : Theme.muted
        }
    }
}
