import QtQuick
import QtMultimedia
import Hearth

// One member's moving picture. Fills the tile when it is about as wide as the tile, else fits inside.
Item {
    id: picture

    required property PictureFeed feed
    required property string memberId
    required property bool active
    property bool mirrored: false
    readonly property bool present: source.hasPicture
    readonly property bool near: Math.abs(source.shape - width / Math.max(1, height)) < 0.5

    TileSource {
        id: source
        feed: picture.feed
        memberId: picture.memberId
        active: picture.active
        sink: output.videoSink
        shownHeight: picture.visible ? Math.round(picture.height * Screen.devicePixelRatio) : 0
    }

    VideoOutput {
        id: output
        anchors.fill: parent
        visible: source.hasPicture
        fillMode: picture.near ? VideoOutput.PreserveAspectCrop : VideoOutput.PreserveAspectFit
        mirrored: picture.mirrored
    }

    Component.onDestruction: source.release()
}
