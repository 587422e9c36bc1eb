"""Opening, closing and failing at any moment: nothing hangs, nothing is left, every failure is a sentence."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from client.call import call as call_module
from client.call.call import RESTARTED, Call
from client.call.pictures import PictureBoard
from client.call.runner import CallRunner
from client.call.statistics import CallStatistics
from client.media.playback.mixer import Mixer
from client.media.playback.speaker import NullSpeaker, Speaker, SpeakerSpec
from client.media.sources import FileVideoSpec, TestPictureSpec, ToneSpec
from client.session.state import Phase, SessionState
from client.studio import EncodeVideo, KeyFrame, SoundEncoded, StudioRestarted, VideoEncoded
from rtc.tasks import end_tasks
from tests.client.call.people import Person
from tests.rtc.test_tasks import stubborn
from tests.support.server_process import ServerProcess, wait_for

PICTURE = TestPictureSpec(7, 320, 180, 12.0)


def quickly(what: Callable[[], Any], within: float = 6.0) -> None:
    begin = time.monotonic()
    what()
    assert time.monotonic() - begin < within


def test_what_is_asked_before_open_is_done_then() -> None:
    person = Call("thread", SpeakerSpec("null"))
    assert person.statistics() == CallStatistics()
    person.set_camera(False)
    person.show([])
    person.join("nonsense", "Ann")
    assert person.state == SessionState()
    person.open()
    person.open()
    wait_for("the answer", lambda: person.state.phase is Phase.FAILED)
    assert not person.state.camera_on
    person.close()
    person.close()
    with pytest.raises(RuntimeError, match="closed"):
        person.open()


def test_close_without_open() -> None:
    person = Call("thread", SpeakerSpec("null"))
    person.choose_video(PICTURE)
    person.close()
    person.join("nonsense", "Ann")
    person.leave()
    person.show(None)
    assert person.statistics() == CallStatistics()


@pytest.mark.parametrize("phase", [Phase.FINDING, Phase.JOINING, Phase.SECURING, Phase.IN_CALL])
def test_close_on_the_way_in(server: ServerProcess, phase: Phase) -> None:
    with Person("Ann", 1, 440.0) as ann:
        ann.call.join(server.open_meeting().link, "Ann")
        ann.until(f"{phase} was reached", lambda: phase in ann.phases)
        quickly(ann.call.close)
    assert ann.call.state.phase is Phase.LEFT


def test_close_while_nobody_answers() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        with Person("Ann") as ann:
            ann.call.join(f"http://127.0.0.1:{port}/join/abcdef#0123456789ABCDEF", "Ann")
            ann.until_phase(Phase.FINDING)
            quickly(ann.call.close, 3.0)


def test_nobody_there_is_a_sentence_and_the_call_can_be_used_again(server: ServerProcess) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with Person("Ann") as ann:
        ann.call.join(f"http://127.0.0.1:{port}/join/abcdef#0123456789ABCDEF", "Ann")
        assert "Nobody answers" in ann.until_phase(Phase.FAILED).words
        link = server.open_meeting().link
        ann.call.join(link.rpartition("#")[0] + "#0000000000000000", "Ann")
        ann.until("the wrong token", lambda: ann.phases.count(Phase.FAILED) == 2)
        assert "not valid" in ann.state.words
        ann.call.join(link, "Ann")
        ann.until_phase(Phase.IN_CALL)


def test_statistics_while_closing(server: ServerProcess) -> None:
    with Person("Ann", 1, 440.0) as ann:
        ann.call.join(server.open_meeting().link, "Ann")
        ann.until_phase(Phase.IN_CALL)
        stop, failures, asked = threading.Event(), [], 0

        def ask() -> None:
            nonlocal asked
            while not stop.is_set():
                begin = time.monotonic()
                try:
                    ann.call.statistics()
                except Exception as error:
                    failures.append(error)
                asked += 1
                if time.monotonic() - begin > 3.0:
                    failures.append(TimeoutError())

        threads = [threading.Thread(target=ask, name=f"asker {n}") for n in range(3)]
        for thread in threads:
            thread.start()
        wait_for("questions", lambda: asked > 30)
        ann.call.close()
        after = asked
        wait_for("questions after the end", lambda: asked > after + 30)
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert ann.call.statistics().join_ms is not None, "what was measured outlives the call"


def test_listeners_that_raise_do_not_end_the_call(
    server: ServerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    inside = threading.Event()
    asked: list[object] = []

    def on_state(state: SessionState) -> None:
        if state.phase is Phase.IN_CALL:
            asked.append(person.statistics())  # from the call's own thread: answered at once
            inside.set()
        raise LookupError("a defect of the screen")

    def on_levels(levels: object) -> None:
        raise LookupError("a defect of the meter")

    person = Call("thread", SpeakerSpec("null"), on_state, on_levels)
    person.open()
    with caplog.at_level(logging.ERROR):
        person.join(server.open_meeting().link, "Ann")
        assert inside.wait(20.0)
        wait_for("both were noted", lambda: "the screen" in caplog.text and "the meter" in caplog.text)
        person.close()
    assert isinstance(asked[0], CallStatistics)


def test_closing_from_a_callback_is_refused_rather_than_waited_for() -> None:
    refusals: list[str] = []

    def on_state(state: SessionState) -> None:
        try:
            person.close()
        except RuntimeError as error:
            refusals.append(str(error))

    person = Call("thread", SpeakerSpec("null"), on_state)
    person.open()
    person.set_camera(False)
    wait_for("the refusal", lambda: refusals)
    person.close()


def test_a_source_that_fails_is_a_note_that_only_its_like_takes_away() -> None:
    with Person("Ann") as ann:
        ann.call.choose_video(FileVideoSpec("/nowhere/at-all.webm"))
        ann.until("the note", lambda: ann.state.note)
        sentence = ann.state.note
        assert sentence.endswith(".")
        ann.call.choose_sound(ToneSpec(440.0))
        ann.call.set_camera(False)  # comes after the start of the sound has been heard of
        ann.until("the camera is off", lambda: not ann.state.camera_on)
        wait_for("sound", lambda: ann.call._my_level > 0.0)
        assert ann.state.note == sentence
        ann.call.choose_video(PICTURE)
        ann.until("pictures again", lambda: not ann.state.note)
        ann.call.choose_video(FileVideoSpec("/nowhere/at-all.webm"))
        ann.until("the note", lambda: ann.state.note)
        ann.call.choose_video(None)
        ann.until("no camera is wanted", lambda: not ann.state.note)


def test_a_studio_that_was_started_again_is_told_and_gives_a_key_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Person("Ann") as ann:
        sent: list[object] = []
        monkeypatch.setattr(ann.call._studio, "send", sent.append)
        ann.call._studio_event(StudioRestarted())
        ann.until("the note", lambda: ann.state.note == RESTARTED)
        assert sent == [KeyFrame()]


def test_the_camera_gets_what_the_path_carries(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Person("Ann", 1) as ann:
        ann.call.join(server.open_meeting().link, "Ann")
        ann.until_among()
        runner = ann.call._runner
        assert runner is not None
        assert runner._path is not None
        monkeypatch.setattr(runner._path, "_on_picture_rate", lambda rate: None)  # nobody but this test
        sent: list[object] = []
        monkeypatch.setattr(ann.call._studio, "send", sent.append)

        def carries(rate: int) -> None:
            ann.call._ask(lambda runner: runner._on_picture_rate(rate))

        for rate in (100_000, 5_000_000, 6_000_000):
            carries(rate)
        wait_for("both changes", lambda: len(rates(sent)) >= 2)
        assert rates(sent) == [100_000, None], "beyond what is good for its size nothing is said"
        carries(90_000)
        ann.call.set_camera(False)
        ann.call.set_camera(True)
        wait_for("the camera", lambda: len(rates(sent)) >= 5)
        assert rates(sent)[2:] == [90_000] * 3


def rates(sent: list[object]) -> list[int | None]:
    return [command.bitrate for command in sent if isinstance(command, EncodeVideo)]


def test_events_of_a_studio_after_the_end_go_nowhere() -> None:
    with Person("Ann") as ann:
        pass
    for event in (VideoEncoded(b"", True, 0.0, 0), SoundEncoded(b"", 0, 127, False), StudioRestarted()):
        ann.call._studio_event(event)


def test_the_speaker_is_opened_when_a_meeting_is_joined_and_once(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[NullSpeaker] = []

    def open_speaker(spec: SpeakerSpec, pull: Any, failed: Callable[[str], None]) -> Speaker:
        failed("No speaker can be used.")
        opened.append(NullSpeaker(pull))
        return opened[-1]

    monkeypatch.setattr(call_module, "open_speaker", open_speaker)
    with Person("Ann", 1, 440.0) as ann:
        ann.call.join("nonsense", "Ann")
        ann.until_phase(Phase.FAILED)
        assert not opened, "choosing devices makes no sound"
        for _ in range(2):
            ann.call.join(server.open_meeting().link, "Ann")
            ann.until_phase(Phase.IN_CALL)
            ann.until("the note", lambda: ann.state.note == "No speaker can be used.")
            ann.call.leave()
            ann.until_phase(Phase.LEFT)
    assert len(opened) == 1


def test_a_speaker_that_cannot_be_opened_at_all(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def open_speaker(*arguments: object) -> Speaker:
        raise OSError("a defect of the driver")

    monkeypatch.setattr(call_module, "open_speaker", open_speaker)
    with Person("Ann") as ann:
        ann.call.join(server.open_meeting().link, "Ann")
        ann.until_phase(Phase.IN_CALL)
        ann.until("the note", lambda: "speaker" in ann.state.note)


@pytest.mark.parametrize("hangs", ["open", "close"])
def test_a_driver_of_the_speaker_that_hangs_keeps_nobody(
    hangs: str, server: ServerProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on, closed = threading.Event(), threading.Event()

    class Hanging(NullSpeaker):
        def __init__(self, pull: Any) -> None:
            super().__init__(pull)
            if hangs == "open":
                go_on.wait()

        def close(self) -> None:
            if hangs == "close":
                go_on.wait()
            super().close()
            closed.set()

    monkeypatch.setattr(call_module, "open_speaker", lambda spec, pull, failed: Hanging(pull))
    with Person("Ann") as ann:
        ann.call.join(server.open_meeting().link, "Ann")
        ann.until_phase(Phase.IN_CALL)
        quickly(ann.call.close, 4.0)
    assert "the speaker does not answer" in caplog.text
    go_on.set()
    assert closed.wait(10.0), "it is let go when the driver answers"


async def test_a_path_that_does_not_close_keeps_nobody(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    runner = CallRunner(PictureBoard(), Mixer(), *[lambda *_: None] * 3)
    path = asyncio.create_task(stubborn(50))
    runner._closing.add(path)
    await asyncio.sleep(0)
    begin = asyncio.get_running_loop().time()
    await runner.close()
    assert asyncio.get_running_loop().time() - begin < 3.0
    assert not path.done()
    assert "does not close" in caplog.text
    await end_tasks([path], 10.0)
