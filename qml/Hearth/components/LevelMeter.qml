pragma ComponentBehavior: Bound
import QtQuick
import Hearth

// How loud the microphone is, 0..1, as bars that fill from the left.
Item {
    id: meter

    required property real level
    property bool off: false
    property int bars: 16

    implicitWidth: 200
    implicitHeight: 12
    Accessible.role: Accessible.ProgressBar
    Accessible.name: off ? qsTr("Microphone is off") : qsTr("Microphone level")

    Row {
        spacing: 3

        Repeater {
            model: meter.bars

            Rectangle {
                required property int index
                readonly property bool lit: !meter.off && meter.level * meter.bars > index + 0.25

                width: (meter.width - (meter.bars - 1) * 3) / meter.bars
                height: meter.height
                radius: 2
                color: lit ? (index >= meter.bars * 0.85 ? Theme.warn : Theme.good) : Theme.raised
                border.width: lit ? 0 : Theme.edgeWidth
                border.color: Theme.line
            }
        }
    }
}
