pragma ComponentBehavior: Bound
import QtQuick
import Hearth

// All members as tiles, as large as the room allows. Tiles keep living when others come and go.
Item {
    id: grid

    required property Meeting meeting
    property bool settled: false
    /// Room at the bottom that tiles leave free where they can without getting smaller, in pixels.
    property real keepClear: 0
    readonly property rect first: fitted.places[0] ?? Qt.rect(0, 0, 0, 0)
    readonly property real overlap: keepClear - first.y
    readonly property real lift: Math.min(first.y, Math.max(0, overlap))
    readonly property alias count: repeater.count

    /// The tile of a member, for tests; null when there is none.
    function tileAt(index: int): Item {
        return repeater.itemAt(index);
    }

    // While the window changes its size tiles follow at once; they glide when people come and go.
    onWidthChanged: still()
    onHeightChanged: still()

    function still() {
        settled = false;
        settle.restart();
    }

    Timer {
        id: settle
        interval: 250
        onTriggered: grid.settled = true
    }

    FittedGrid {
        id: fitted
        count: repeater.count
        width: grid.width
        height: grid.height
        gap: Theme.space2
    }

    Repeater {
        id: repeater
        model: grid.meeting.members

        Tile {
            id: tile
            required property int index
            readonly property rect place: fitted.places[index] ?? Qt.rect(0, 0, 0, 0)

            feed: grid.meeting.feed
            x: place.x
            y: place.y - grid.lift
            width: place.width
            height: place.height

            Behavior on x {
                enabled: grid.settled
                NumberAnimation { duration: Theme.placeTime; easing.type: Easing.OutCubic }
            }
            Behavior on y {
                enabled: grid.settled
                NumberAnimation { duration: Theme.placeTime; easing.type: Easing.OutCubic }
            }
            Behavior on width {
                enabled: grid.settled
                NumberAnimation { duration: Theme.placeTime; easing.type: Easing.OutCubic }
            }
            Behavior on height {
                enabled: grid.settled
                NumberAnimation { duration: Theme.placeTime; easing.type: Easing.OutCubic }
            }
        }
    }
}
