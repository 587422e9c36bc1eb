pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Hearth

// A button with a word. One primary button on a page; danger only for leaving; quiet for the way back.
T.Button {
    id: button

    enum Kind { Plain, Primary, Danger, Quiet }

    property int kind: Button.Plain
    property string iconPath: ""
    readonly property color fill: kind === Button.Primary ? Theme.accent : kind === Button.Danger ? Theme.danger
                                : kind === Button.Quiet ? Qt.alpha(Theme.raised, 0) : Theme.raised
    readonly property color ink: kind === Button.Primary ? Theme.accentInk : kind === Button.Danger ? Theme.dangerInk
                               : Theme.text

    implicitWidth: Math.max(Theme.hitTarget, implicitContentWidth + leftPadding + rightPadding)
    implicitHeight: Theme.hitTarget
    leftPadding: Theme.space4
    rightPadding: Theme.space4
    spacing: Theme.space2
    font.pixelSize: Theme.bodyText
    font.weight: Theme.strong
    focusPolicy: Qt.StrongFocus
    opacity: enabled ? 1 : 0.5
    Accessible.name: text
    Keys.onReturnPressed: click()
    Keys.onEnterPressed: click()

    HoverHandler {
        cursorShape: Qt.PointingHandCursor
    }

    contentItem: Item {
        implicitWidth: row.implicitWidth
        implicitHeight: row.implicitHeight

        Row {
            id: row
            anchors.centerIn: parent
            spacing: button.spacing

            Icon {
                visible: button.iconPath.length > 0
                path: button.iconPath
                color: button.ink
                size: 20
                anchors.verticalCenter: parent.verticalCenter
            }
            Text {
                text: button.text
                font: button.font
                color: button.ink
                textFormat: Text.PlainText
                anchors.verticalCenter: parent.verticalCenter
            }
        }
    }

    background: Rectangle {
        radius: Theme.controlRadius
        color: Theme.shade(button.fill, button.hovered, button.down)
        border.width: button.kind === Button.Plain || Theme.highContrast ? Theme.edgeWidth : 0
        border.color: Theme.highContrast ? Theme.edge : Theme.line

        Behavior on color {
            ColorAnimation { duration: Theme.stateTime }
        }

        FocusRing {
            target: parent
            shown: button.visualFocus
        }
    }
}
