import QtQuick
import QtQuick.Shapes
import Hearth

// One drawing in one colour; `crossed` says that the thing is off.
Item {
    id: icon

    required property string path
    property color color: Theme.text
    property bool crossed: false
    property bool filled: false
    property int size: 24

    implicitWidth: size
    implicitHeight: size

    Shape {
        width: 24
        height: 24
        scale: icon.size / 24
        transformOrigin: Item.TopLeft
        preferredRendererType: Shape.CurveRenderer

        ShapePath {
            strokeColor: icon.color
            strokeWidth: 1.8
            fillColor: icon.filled ? icon.color : "transparent"
            capStyle: ShapePath.RoundCap
            joinStyle: ShapePath.RoundJoin

            PathSvg {
                path: icon.path
            }
        }
    }

    // A bar in the colour of the ground under the crossing line keeps the two apart.
    Item {
        visible: icon.crossed
        anchors.fill: parent

        Rectangle {
            anchors.centerIn: parent
            width: icon.size * 1.12
            height: Math.max(1.6, icon.size * 0.08)
            radius: height / 2
            rotation: 45
            color: icon.color
        }
    }
}
