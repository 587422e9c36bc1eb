import QtQuick
import Hearth

// Text in the body size and the theme's colour.
Text {
    color: Theme.text
    font.pixelSize: Theme.bodyText
    font.weight: Theme.regular
    lineHeight: wrapMode === Text.NoWrap ? 1.0 : Theme.lineHeight
    textFormat: Text.PlainText
    Accessible.role: Accessible.StaticText
    Accessible.name: text
    Accessible.ignored: text.length === 0
}
