import QtQuick

// The first level of tokens: the colours of one appearance, named by what they are.
QtObject {
    required property color ground
    required property color surface
    required property color raised
    required property color line
    required property color edge
    required property color text
    required property color muted
    required property color accent
    required property color accentInk
    required property color good
    required property color warn
    required property color danger
    required property color dangerInk
    required property color focus
}
