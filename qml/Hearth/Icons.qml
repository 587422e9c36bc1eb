pragma Singleton
import QtQuick

// Our own drawings on a 24 x 24 field, as strokes. One line crosses out whatever is off.
QtObject {
    readonly property string microphone: "M12 3 A3 3 0 0 0 9 6 V11 A3 3 0 0 0 15 11 V6 A3 3 0 0 0 12 3 Z M5.5 11 A6.5 6.5 0 0 0 18.5 11 M12 17.5 V21 M8.5 21 H15.5"
    readonly property string camera: "M4.5 6.5 H13.5 A2 2 0 0 1 15.5 8.5 V15.5 A2 2 0 0 1 13.5 17.5 H4.5 A2 2 0 0 1 2.5 15.5 V8.5 A2 2 0 0 1 4.5 6.5 Z M15.5 11 L21.5 7.5 V16.5 L15.5 13 Z"
    readonly property string people: "M9 4.5 A3.25 3.25 0 0 0 9 11 A3.25 3.25 0 0 0 9 4.5 Z M2.5 19.5 A6.5 6 0 0 1 15.5 19.5 M15.5 5 A3 3 0 0 1 15.5 10.7 M18 14.2 A6 6 0 0 1 21.5 19.5"
    readonly property string invite: "M10 14 A4 4 0 0 0 15.7 14 L19.5 10.2 A4 4 0 0 0 13.8 4.5 L12.4 5.9 M14 10 A4 4 0 0 0 8.3 10 L4.5 13.8 A4 4 0 0 0 10.2 19.5 L11.6 18.1"
    readonly property string leave: "M3 14.5 C3 8.5 21 8.5 21 14.5 V16.5 L15.8 15.3 V12.6 C13.4 11.9 10.6 11.9 8.2 12.6 V15.3 L3 16.5 Z"
    readonly property string close: "M6 6 L18 18 M18 6 L6 18"
    readonly property string back: "M19 12 H5 M11 6 L5 12 L11 18"
    readonly property string down: "M6 9.5 L12 15.5 L18 9.5"
    readonly property string check: "M5 12.5 L10 17.5 L19 7"
    readonly property string warning: "M12 4 L21.5 20 H2.5 Z M12 10 V14.5 M12 17 V17.3"
    readonly property string info: "M12 3.5 A8.5 8.5 0 0 0 12 20.5 A8.5 8.5 0 0 0 12 3.5 Z M12 11 V16.5 M12 7.7 V8"
    readonly property string flame: "M12 2.5 C13 6.5 18.5 9 18.5 14.5 A6.5 6.5 0 0 1 5.5 14.5 C5.5 11.5 7.3 10 8.3 8 C9 9.4 9.6 10.2 10.6 10.8 C10.4 8 10.6 5 12 2.5 Z"
    readonly property string fullScreen: "M4 9 V4 H9 M15 4 H20 V9 M20 15 V20 H15 M9 20 H4 V15"

    /// The drawing called `name`; empty when there is none.
    function path(name: string): string {
        return (this as QtObject)[name] ?? "";
    }
}
