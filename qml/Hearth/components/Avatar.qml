import QtQuick
import Hearth

// A person without a picture: initials on the colour of the name.
Rectangle {
    id: avatar

    required property string initials
    required property color colour

    radius: Math.min(width, height) / 2
    color: colour

    Text {
        anchors.centerIn: parent
        text: avatar.initials
        color: Theme.avatarInk
        font.pixelSize: Math.max(12, Math.round(avatar.height * 0.36))
        font.weight: Theme.strong
        textFormat: Text.PlainText
        Accessible.ignored: true
    }
}
