"""Pictures on their way into tiles: one wake-up for all slots, the latest picture wins."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Property, QObject, Qt, Signal, Slot
from PySide6.QtQml import QmlElement, QmlUncreatable

from client.bridge.frames import picture_format, to_video_frame
from client.bridge.multimedia import QVideoFrame, QVideoFrameFormat, QVideoSink
from client.bridge.ports import PictureBoardLike, PictureLike, PictureSlot

QML_IMPORT_NAME = "Hearth"
QML_IMPORT_MAJOR_VERSION = 1

#: The member id under which this computer's own picture goes.
ME = "me"


@QmlElement
@QmlUncreatable("The meeting holds it")
class PictureFeed(QObject):  # type: ignore[operator]
    """Carries pictures from the slots of a call to the tile sources that ask for them.

    Putters (decoder threads, the studio's reader) call `_wake`; at most one wake-up is under way at a
    time, however many slots were filled. Everything else happens on the screen's thread.

    Why not a timer of 60 Hz: with 9 members at 640x360 and 30 pictures a second a picture waits 0.35 ms
    (p50; p99 3 ms) for the wake-up and 8 ms (p99 16-20 ms) for the timer. The timer saves 3 % of a core
    then and costs 1 % where nothing moves; the wake-up costs nothing there (2 shared cores, no GPU).
    """

    #: Other heights of tiles than before; `heights` has them.
    heightsChanged = Signal()

    _woken = Signal()

    def __init__(self, board: PictureBoardLike, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._board = board
        self._slots: dict[str, PictureSlot] = {}
        self._sources: dict[str, list[TileSource]] = {}
        self._heights: dict[TileSource, tuple[str, float]] = {}
        self._under_way = self._closed = False
        #: Called on the screen's thread after a picture went into a tile, with member id and picture.
        self.on_shown: Callable[[str, PictureLike], None] | None = None
        self._woken.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def attach(self, member_id: str, source: TileSource) -> None:
        """Send the pictures of `member_id` to `source` from now on."""
        sources = self._sources.setdefault(member_id, [])
        if source not in sources:
            sources.append(source)
        if member_id not in self._slots:
            slot = self._board.self_view if member_id == ME else self._board.slot(member_id)
            self._slots[member_id] = slot
            slot.on_put = self._wake
        self._wake()

    def detach(self, member_id: str, source: TileSource) -> None:
        """Send nothing more to `source`; the slot is let go with its last source."""
        sources = self._sources.get(member_id, [])
        if source in sources:
            sources.remove(source)
        if not sources and member_id in self._slots:
            self._slots.pop(member_id).on_put = None
            self._sources.pop(member_id, None)

    def resize(self, source: TileSource, member_id: str, height: float) -> None:
        """`source` shows `member_id` in `height` device pixels, 0 where it cannot be seen; "" is nobody."""
        new = (member_id, height) if member_id and member_id != ME else None
        if self._closed or self._heights.get(source) == new:
            return
        if new is None:
            del self._heights[source]
        else:
            self._heights[source] = new
        self.heightsChanged.emit()

    def heights(self) -> dict[str, float]:
        """Device pixels of the largest tile of each member that has one, 0 where none can be seen."""
        largest: dict[str, float] = {}
        for member_id, height in self._heights.values():
            largest[member_id] = max(height, largest.get(member_id, 0.0))
        return largest

    def close(self) -> None:
        """Let go of every slot, and say nothing more of tiles."""
        self._closed = True
        for slot in self._slots.values():
            slot.on_put = None
        self._slots.clear()
        self._sources.clear()
        self._heights.clear()

    def _wake(self) -> None:
        # Two putters may both see False and wake twice; that costs one empty walk and loses nothing.
        if not self._under_way:
            self._under_way = True
            self._woken.emit()

    def _deliver(self) -> None:
        self._under_way = False  # before the walk: a picture put during it must wake us again
        for member_id, slot in tuple(self._slots.items()):
            picture = slot.take()
            if picture is None:
                continue
            shown = [source.show(picture) for source in tuple(self._sources.get(member_id, ()))]
            if any(shown) and self.on_shown is not None:
                self.on_shown(member_id, picture)


@QmlElement
class TileSource(QObject):
    """Connects one member's pictures to a `VideoOutput`'s sink.

    `hasPicture` turns true with the first picture and false when the source is switched off, so that an
    old picture never stands for a camera that is off.
    """

    feedChanged = Signal()
    memberIdChanged = Signal()
    activeChanged = Signal()
    sinkChanged = Signal()
    hasPictureChanged = Signal()
    shapeChanged = Signal()
    shownHeightChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._feed: PictureFeed | None = None
        self._shown_height = 0.0
        self._member_id = ""
        self._active = True
        self._sink: QVideoSink | None = None
        self._has_picture = False
        self._size = (0, 0)
        self._format: QVideoFrameFormat | None = None
        self._attached: tuple[PictureFeed, str] | None = None
        self.frames_shown = 0
        self.frames_refused = 0

    def show(self, picture: PictureLike) -> bool:
        """Put `picture` on the screen; False when there is no tile for it or its planes are too short."""
        sink = self._sink
        if sink is None:
            return False
        size = (picture.width, picture.height)
        if self._format is None or size != self._size:
            self._format = picture_format(*size)
        try:
            frame = to_video_frame(picture, self._format)
        except ValueError:
            self.frames_refused += 1
            return False
        sink.setVideoFrame(frame)
        self.frames_shown += 1
        if size != self._size:
            self._size = size
            self.shapeChanged.emit()
        self._set_has_picture(True)
        return True

    @Slot()
    def release(self) -> None:
        """Let go of the slot and the sink; a tile calls this before it dies."""
        self._set_feed(None)
        self._sink = None

    def _rewire(self) -> None:
        wanted = None
        if self._active and self._feed is not None and self._member_id and self._sink is not None:
            wanted = (self._feed, self._member_id)
        if wanted == self._attached:
            return
        if self._attached is not None:
            feed, member_id = self._attached
            self._attached = None
            feed.detach(member_id, self)
            if self._sink is not None:
                self._sink.setVideoFrame(QVideoFrame())
            self._set_has_picture(False)
        if wanted is not None:
            self._attached = wanted
            wanted[0].attach(wanted[1], self)

    def _set_has_picture(self, has: bool) -> None:
        if has != self._has_picture:
            self._has_picture = has
            self.hasPictureChanged.emit()

    def _report_height(self) -> None:
        if self._feed is not None:
            self._feed.resize(self, self._member_id, self._shown_height)

    def _get_shown_height(self) -> float:
        return self._shown_height

    def _set_shown_height(self, height: float) -> None:
        if height != self._shown_height:
            self._shown_height = height
            self._report_height()
            self.shownHeightChanged.emit()

    def _get_feed(self) -> PictureFeed | None:
        return self._feed

    def _set_feed(self, feed: PictureFeed | None) -> None:
        if feed is not self._feed:
            if self._feed is not None:
                self._feed.resize(self, "", 0.0)
            self._feed = feed
            self._rewire()
            self._report_height()
            self.feedChanged.emit()

    def _get_member_id(self) -> str:
        return self._member_id

    def _set_member_id(self, member_id: str) -> None:
        if member_id != self._member_id:
            self._member_id = member_id
            self._rewire()
            self._report_height()
            self.memberIdChanged.emit()

    def _get_active(self) -> bool:
        return self._active

    def _set_active(self, active: bool) -> None:
        if active != self._active:
            self._active = active
            self._rewire()
            self.activeChanged.emit()

    def _get_sink(self) -> QObject | None:
        return self._sink

    def _set_sink(self, sink: QObject | None) -> None:
        if sink is not self._sink:
            self._sink = sink if isinstance(sink, QVideoSink) else None
            self._rewire()
            self.sinkChanged.emit()

    def _get_has_picture(self) -> bool:
        return self._has_picture

    def _get_shape(self) -> float:
        return self._size[0] / self._size[1] if self._size[1] else 0.0

    feed = Property(PictureFeed, _get_feed, _set_feed, notify=feedChanged)
    memberId = Property(str, _get_member_id, _set_member_id, notify=memberIdChanged)
    active = Property(bool, _get_active, _set_active, notify=activeChanged)
    sink = Property(QObject, _get_sink, _set_sink, notify=sinkChanged)
    hasPicture = Property(bool, _get_has_picture, notify=hasPictureChanged)
    #: Device pixels of height in which pictures are seen, 0 for none; the server sends what fits.
    shownHeight = Property(float, _get_shown_height, _set_shown_height, notify=shownHeightChanged)
    #: Width over height of the last picture; 0 before the first.
    shape = Property(float, _get_shape, notify=shapeChanged)
