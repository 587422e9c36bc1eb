import QtQuick
import Hearth

// One person in the call: picture or initials, name, muted, speaking.
Item {
    id: tile

    required property PictureFeed feed
    required property string memberId
    required property string name
    required property bool isMe
    required property bool microphone
    required property bool camera
    required property bool speaking
    required property bool connected
    required property real level
    required property string initials
    required property color colour
    /// Why no picture comes just now, in words; empty while one does.
    required property string held
    property color around: Theme.ground
    readonly property alias showsPicture: picture.present
    readonly property bool roomy: width >= 200

    Accessible.role: Accessible.Graphic
    Accessible.name: [isMe ? qsTr("%1, you").arg(name) : name, microphone ? "" : qsTr("muted"),
                      camera ? "" : qsTr("camera off"), speaking ? qsTr("speaking") : "",
                      held, connected ? "" : qsTr("connection lost")].filter(part => part.length > 0).join(", ")

    Rectangle {
        anchors.fill: parent
        color: Theme.surface
    }

    Avatar {
        id: avatar
        readonly property real side: Math.round(Math.min(tile.width, tile.height) * 0.44)
        anchors.centerIn: parent
        width: side
        height: side
        initials: tile.initials
        colour: tile.colour
        visible: !picture.present
    }

    TilePicture {
        id: picture
        anchors.fill: parent
        feed: tile.feed
        memberId: tile.isMe ? "me" : tile.memberId
        active: tile.camera && tile.held.length === 0
        mirrored: tile.isMe
        opacity: tile.connected ? 1 : 0.4
    }

    Text {
        anchors.top: avatar.bottom
        anchors.topMargin: Theme.space2
        anchors.horizontalCenter: parent.horizontalCenter
        width: Math.min(implicitWidth, tile.width - Theme.space2 * 4)
        text: tile.held
        visible: tile.camera && tile.roomy && text.length > 0
        color: Theme.muted
        font.pixelSize: Theme.smallText
        elide: Text.ElideRight
        textFormat: Text.PlainText
        Accessible.ignored: true
    }

    // Rounds the corners by painting what is outside them; a mask would cost a texture per tile.
    Rectangle {
        anchors.fill: parent
        anchors.margins: -6
        radius: Theme.cardRadius + 6
        color: "transparent"
        border.width: 6
        border.color: tile.around
    }

    Rectangle {
        id: ember
        anchors.fill: parent
        radius: Theme.cardRadius
        color: "transparent"
        border.width: Theme.emberWidth
        border.color: Theme.accent
        opacity: tile.speaking ? (Theme.reducedMotion ? 1 : 0.6 + 0.4 * Math.min(1, tile.level * 1.5)) : 0
        visible: opacity > 0

        Behavior on opacity {
            NumberAnimation { duration: Theme.stateTime; easing.type: Easing.OutCubic }
        }
    }

    Rectangle {
        anchors.left: parent.left
        anchors.bottom: parent.bottom
        anchors.margins: Theme.space2
        width: Math.min(plate.implicitWidth + Theme.space2 * 2, parent.width - Theme.space2 * 2)
        height: tile.roomy ? 28 : 22
        radius: Theme.controlRadius - 2
        color: Theme.scrim

        Row {
            id: plate
            x: Theme.space2
            anchors.verticalCenter: parent.verticalCenter
            spacing: Theme.space1 + 2

            Icon {
                id: muted
                path: Icons.microphone
                crossed: true
                size: 14
                color: Theme.scrimInk
                visible: !tile.microphone
                anchors.verticalCenter: parent.verticalCenter
            }
            Text {
                anchors.verticalCenter: parent.verticalCenter
                width: Math.min(implicitWidth, tile.width - Theme.space2 * 4 - (muted.visible ? 20 : 0))
                text: tile.connected ? (tile.isMe ? qsTr("You") : tile.name) : qsTr("%1 is reconnecting").arg(tile.name)
                color: Theme.scrimInk
                font.pixelSize: tile.roomy ? Theme.bodyText : Theme.smallText
                elide: Text.ElideRight
                textFormat: Text.PlainText
                Accessible.ignored: true
            }
        }
    }
}
