pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Hearth

// One of a list, with its label above and the sentence of what is wrong below.
Column {
    id: picker

    required property string label
    required property var choices
    required property int current
    property string problem: ""
    property string nothing: ""
    signal chosen(int index)
    signal opening

    spacing: Theme.space1 + 2

    Label {
        text: picker.label
        color: Theme.muted
        font.pixelSize: Theme.smallText
        Accessible.ignored: true
    }

    Item {
        width: picker.width
        height: box.height

        T.ComboBox {
            id: box
            width: picker.width - (again.visible ? again.width + Theme.space2 : 0)
            implicitHeight: Theme.hitTarget
            leftPadding: Theme.space3
            rightPadding: Theme.space3 + 24
            model: picker.choices
            textRole: "label"
            currentIndex: picker.current
            displayText: count > 0 ? currentText : picker.nothing
            enabled: count > 0
            focusPolicy: Qt.StrongFocus
            font.pixelSize: Theme.bodyText
            Accessible.name: picker.label
            Accessible.description: displayText

            // The list moves its own index when its entries change; the choice is the program's.
            function keep() {
                currentIndex = Qt.binding(() => picker.current);
            }

            onActivated: index => {
                picker.chosen(index);
                keep();
            }
            onCountChanged: keep()
            onPressedChanged: if (pressed && !popup.visible) picker.opening()
            Keys.onReturnPressed: popup.open()

            contentItem: Text {
                text: box.displayText
                font: box.font
                color: box.enabled ? Theme.text : Theme.muted
                verticalAlignment: Text.AlignVCenter
                elide: Text.ElideRight
                textFormat: Text.PlainText
            }

            indicator: Icon {
                path: Icons.down
                size: 20
                color: box.enabled ? Theme.text : Theme.muted
                x: box.width - width - Theme.space3
                y: (box.height - height) / 2
            }

            background: Rectangle {
                radius: Theme.controlRadius
                color: Theme.shade(Theme.surface, box.hovered, box.down)
                border.width: Theme.edgeWidth
                border.color: Theme.edge

                FocusRing {
                    target: parent
                    shown: box.visualFocus
                }
            }

            delegate: PickerRow {
                width: ListView.view.width
                highlighted: box.highlightedIndex === index
                chosen: box.currentIndex === index
            }

            popup: T.Popup {
                y: box.height + Theme.space1
                width: box.width
                height: Math.min(list.contentHeight + 2 * Theme.space1, 260)
                padding: Theme.space1

                contentItem: ListView {
                    id: list
                    clip: true
                    model: box.popup.visible ? box.delegateModel : null
                    currentIndex: box.highlightedIndex
                    boundsBehavior: Flickable.StopAtBounds
                }

                background: Rectangle {
                    radius: Theme.controlRadius
                    color: Theme.surface
                    border.width: Theme.edgeWidth
                    border.color: Theme.edge
                }
            }
        }

        Button {
            id: again
            anchors.right: parent.right
            visible: picker.problem.length > 0
            text: qsTr("Look again")
            Accessible.name: qsTr("Look for a %1 again").arg(picker.label.toLowerCase())
            onClicked: picker.opening()
        }
    }

    Notice {
        width: parent.width
        informs: true
        sentence: picker.problem
    }
}
