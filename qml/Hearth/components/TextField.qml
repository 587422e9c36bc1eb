import QtQuick
import QtQuick.Templates as T
import Hearth

// One line to type in, with the sentence of what is wrong below it.
FocusScope {
    id: field

    required property string label
    property alias text: input.text
    property alias placeholder: input.placeholderText
    property alias maximumLength: input.maximumLength
    property string problem: ""
    property bool labelShown: true
    signal accepted
    signal edited(string text)

    implicitWidth: 240
    implicitHeight: column.implicitHeight

    function selectAll() {
        input.selectAll();
    }

    Column {
        id: column
        width: parent.width
        spacing: Theme.space1 + 2

        Label {
            visible: field.labelShown
            text: field.label
            color: Theme.muted
            font.pixelSize: Theme.smallText
            Accessible.ignored: true
        }

        T.TextField {
            id: input
            width: parent.width
            implicitHeight: Theme.hitTarget
            leftPadding: Theme.space3
            rightPadding: Theme.space3
            verticalAlignment: TextInput.AlignVCenter
            focus: true
            selectByMouse: true
            font.pixelSize: Theme.bodyText
            color: Theme.text
            placeholderTextColor: Theme.muted
            selectionColor: Theme.accent
            selectedTextColor: Theme.accentInk
            Accessible.role: Accessible.EditableText
            Accessible.name: field.label
            Accessible.description: field.problem
            onAccepted: field.accepted()
            onTextEdited: field.edited(text)

            background: Rectangle {
                radius: Theme.controlRadius
                color: Theme.surface
                border.width: input.activeFocus ? 2 : Theme.edgeWidth
                border.color: input.activeFocus ? Theme.focus : field.problem.length > 0 ? Theme.danger : Theme.edge
            }

            Text {
                anchors.fill: parent
                anchors.leftMargin: input.leftPadding
                anchors.rightMargin: input.rightPadding
                verticalAlignment: Text.AlignVCenter
                text: input.placeholderText
                color: Theme.muted
                font: input.font
                elide: Text.ElideRight
                textFormat: Text.PlainText
                visible: input.length === 0 && input.preeditText.length === 0
                Accessible.ignored: true
            }
        }

        Notice {
            width: parent.width
            sentence: field.problem
        }
    }
}
