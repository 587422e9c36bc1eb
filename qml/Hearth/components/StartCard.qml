import QtQuick
import Hearth

// One way into a meeting: a title, a line about it, its control, and what went wrong with it.
Rectangle {
    id: card

    required property string title
    required property string words
    property string problem: ""
    default property alias control: place.data

    implicitHeight: column.implicitHeight + 2 * Theme.space4
    radius: Theme.cardRadius
    color: Theme.surface
    border.width: Theme.edgeWidth
    border.color: Theme.line

    Column {
        id: column
        x: Theme.space4
        y: Theme.space4
        width: parent.width - 2 * Theme.space4
        spacing: Theme.space3

        Column {
            width: parent.width
            spacing: Theme.space1

            Label {
                text: card.title
                font.pixelSize: Theme.largeText
                font.weight: Theme.strong
                Accessible.role: Accessible.Heading
            }
            Label {
                width: parent.width
                text: card.words
                color: Theme.muted
                wrapMode: Text.WordWrap
            }
        }
        Item {
            id: place
            width: parent.width
            implicitHeight: childrenRect.height
        }
        Notice {
            width: parent.width
            sentence: card.problem
        }
    }
}
