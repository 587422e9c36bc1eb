import QtQuick
import QtQuick.Templates as T
import Hearth

// One entry of a picker's list; the chosen one carries a check.
T.ItemDelegate {
    id: row

    required property string label
    required property int index
    property bool chosen: false

    implicitHeight: Theme.hitTarget
    leftPadding: Theme.space3
    rightPadding: Theme.space3
    text: label
    Accessible.role: Accessible.ListItem
    Accessible.name: chosen ? qsTr("%1, chosen").arg(label) : label

    contentItem: Item {
        Icon {
            id: tick
            path: Icons.check
            size: 16
            color: Theme.accent
            visible: row.chosen
            anchors.verticalCenter: parent.verticalCenter
        }
        Text {
            anchors.left: tick.right
            anchors.leftMargin: Theme.space2
            anchors.right: parent.right
            anchors.verticalCenter: parent.verticalCenter
            text: row.label
            font.pixelSize: Theme.bodyText
            color: Theme.text
            elide: Text.ElideRight
            textFormat: Text.PlainText
        }
    }

    background: Rectangle {
        radius: Theme.controlRadius - 2
        color: Theme.shade(Theme.surface, row.highlighted || row.hovered, row.down)
    }
}
