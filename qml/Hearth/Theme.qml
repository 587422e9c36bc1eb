pragma Singleton
import QtQuick

// The second level of tokens: colours, sizes and times named by what they mean. Components use only these.
QtObject {
    id: theme

    /// Dark in a call, whatever the system says, so that faces are the brightest thing.
    property bool inCall: false
    /// Set by a person or a test; the system's wish otherwise.
    property bool highContrast: Application.styleHints.accessibility.contrastPreference === Qt.HighContrast
    property bool reducedMotion: false
    property bool preferDark: Application.styleHints.colorScheme === Qt.Dark
    readonly property bool dark: inCall || preferDark

    readonly property Tones darkTones: Tones {
        ground: "#15171A"
        surface: "#1E2125"
        raised: "#282C31"
        line: "#3A4047"
        edge: "#7A828C"
        text: "#F2EFEA"
        muted: "#B4B0A8"
        accent: "#F2A65A"
        accentInk: "#1B1206"
        good: "#6CC08B"
        warn: "#F0C24B"
        danger: "#F0706A"
        dangerInk: "#1B1206"
        focus: "#8EC5FF"
    }
    readonly property Tones lightTones: Tones {
        ground: "#F6F3EE"
        surface: "#FFFFFF"
        raised: "#ECE7DF"
        line: "#CFC8BD"
        edge: "#7C7468"
        text: "#1D1F22"
        muted: "#5A5750"
        accent: "#99490A"
        accentInk: "#FFFFFF"
        good: "#1A6B3B"
        warn: "#7F5900"
        danger: "#B3261E"
        dangerInk: "#FFFFFF"
        focus: "#0B5FB8"
    }
    readonly property Tones darkContrastTones: Tones {
        ground: "#000000"
        surface: "#000000"
        raised: "#000000"
        line: "#FFFFFF"
        edge: "#FFFFFF"
        text: "#FFFFFF"
        muted: "#FFFFFF"
        accent: "#FFC58A"
        accentInk: "#000000"
        good: "#8CF0B0"
        warn: "#FFE08A"
        danger: "#FFA8A3"
        dangerInk: "#000000"
        focus: "#8EC5FF"
    }
    readonly property Tones lightContrastTones: Tones {
        ground: "#FFFFFF"
        surface: "#FFFFFF"
        raised: "#FFFFFF"
        line: "#000000"
        edge: "#000000"
        text: "#000000"
        muted: "#000000"
        accent: "#6B3000"
        accentInk: "#FFFFFF"
        good: "#004D22"
        warn: "#533A00"
        danger: "#8A0F08"
        dangerInk: "#FFFFFF"
        focus: "#003E86"
    }
    readonly property Tones tones: highContrast ? (dark ? darkContrastTones : lightContrastTones)
                                                : (dark ? darkTones : lightTones)

    readonly property color ground: tones.ground
    readonly property color surface: tones.surface
    readonly property color raised: tones.raised
    readonly property color line: tones.line
    readonly property color edge: tones.edge
    readonly property color text: tones.text
    readonly property color muted: tones.muted
    readonly property color accent: tones.accent
    readonly property color accentInk: tones.accentInk
    readonly property color good: tones.good
    readonly property color warn: tones.warn
    readonly property color danger: tones.danger
    readonly property color dangerInk: tones.dangerInk
    readonly property color focus: tones.focus
    /// Under names that lie on a picture; white on it keeps 4.5:1 over any picture.
    readonly property color scrim: highContrast ? "#000000" : Qt.rgba(0.05, 0.055, 0.065, 0.72)
    readonly property color scrimInk: "#F2EFEA"
    readonly property color avatarInk: "#FFFFFF"
    /// Floating things over the call; opaque where translucency disturbs.
    readonly property color floating: highContrast ? surface : Qt.alpha(surface, 0.94)

    readonly property int smallText: 12
    readonly property int bodyText: 14
    readonly property int largeText: 16
    readonly property int titleText: 20
    readonly property int displayText: 28
    readonly property real lineHeight: 1.4
    readonly property int regular: Font.Normal
    readonly property int strong: Font.DemiBold

    readonly property int space1: 4
    readonly property int space2: 8
    readonly property int space3: 12
    readonly property int space4: 16
    readonly property int space5: 24
    readonly property int space6: 32
    readonly property int space7: 48

    readonly property int controlRadius: 8
    readonly property int cardRadius: 12
    readonly property int hitTarget: 40
    readonly property int edgeWidth: highContrast ? 2 : 1
    readonly property int emberWidth: 3

    readonly property int stateTime: reducedMotion ? 0 : 120
    readonly property int placeTime: reducedMotion ? 0 : 200

    /// A control's fill one step lighter or darker: hovered, then pressed.
    function shade(base: color, hovered: bool, pressed: bool): color {
        const by = pressed ? 0.16 : hovered ? 0.08 : 0;
        return Qt.tint(base, Qt.alpha(theme.text, by));
    }
}
