"""The doctor: each thing that can be wrong gives a sentence that says what to do; exit code 1 only then."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from client.app import doctor, system_libraries
from client.app.doctor import Finding, State

HEALTHY: dict[str, Any] = {
    "version": "6.11.3",
    "platform": "xcb",
    "screen": "1920 x 1080",
    "renderer": "A GPU",
    "cameras": ["Front camera"],
    "microphones": ["Desk microphone"],
    "speakers": ["Desk speaker"],
}
SCREEN = {"DISPLAY": ":0"}


@pytest.fixture(autouse=True)
def a_display_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there is a display goes by the variable alone in these tests."""
    monkeypatch.setattr(doctor, "display_problem", lambda found: "" if "DISPLAY" in found else "none")


def only(findings: list[Finding]) -> Finding:
    """The one finding."""
    (finding,) = findings
    return finding


def test_missing_packages_are_named() -> None:
    found = only(doctor.check_python(has=lambda name: name != "aiortc"))
    assert found.state is State.WRONG
    assert "aiortc missing" in found.sentence
    assert "python3 run.py" in found.sentence


@pytest.mark.parametrize(
    ("python", "qt", "state"),
    [
        ((3, 11, 2), "6.12.0", State.WRONG),
        ((3, 11, 2), "6.11.3", State.OK),
        ((3, 12, 1), "6.12.0", State.OK),
    ],
)
def test_the_pyside_that_crashes_on_old_pythons(python: tuple[int, ...], qt: str, state: State) -> None:
    found = only(doctor.check_python(has=lambda name: True, release=lambda name: qt, version=python))
    assert found.state is state


def test_missing_libraries_give_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries, "missing_libraries", lambda libraries: [libraries[0]])
    monkeypatch.setattr(system_libraries, "is_debian", lambda: True)
    found = only(doctor.check_libraries())
    assert found == (State.WRONG, "Qt lacks libEGL.so.1; type: sudo apt install -y libegl1")


def test_a_healthy_machine_has_nothing_wrong() -> None:
    findings = doctor.check_screen(HEALTHY, SCREEN) + doctor.check_devices(HEALTHY)
    assert all(finding.state is not State.WRONG for finding in findings)
    assert any("Front camera" in finding.sentence for finding in findings)


@pytest.mark.parametrize(
    ("change", "state", "word"),
    [
        ({"renderer": ""}, State.WRONG, "libgl1-mesa-dri"),
        ({"renderer": "llvmpipe (LLVM 15)"}, State.NOTE, "No GPU"),
        ({"cameras": []}, State.NOTE, "no camera"),
        ({"microphones": []}, State.NOTE, "no microphone"),
        ({"speakers": []}, State.NOTE, "no speaker"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, Any], state: State, word: str) -> None:
    found = HEALTHY | change
    findings = doctor.check_screen(found, SCREEN) + doctor.check_devices(found)
    assert [finding.state for finding in findings if word in finding.sentence] == [state]


def test_a_qt_that_does_not_start_is_wrong_and_names_the_display() -> None:
    found = only(
        doctor.check_screen("Qt does not start (could not connect to display :7).", {"DISPLAY": ":7"})
    )
    assert found.state is State.WRONG
    assert "DISPLAY=:7" in found.sentence


def test_no_display_is_no_obstacle() -> None:
    assert only(doctor.check_screen(HEALTHY, {})).state is State.NOTE


@pytest.mark.parametrize(
    ("address", "state"), [("192.168.1.7", State.OK), ("127.0.0.1", State.NOTE), (None, State.NOTE)]
)
def test_the_network(address: str | None, state: State) -> None:
    assert only(doctor.check_network(lambda: address)).state is state


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def test_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with taken_port() as port:
        monkeypatch.setattr(doctor, "_is_hearth", lambda port: False)
        assert doctor.check_ports(port)[0].state is State.WRONG
        assert "--port 0" in doctor.check_ports(port)[0].sentence
        monkeypatch.setattr(doctor, "_is_hearth", lambda port: True)
        assert doctor.check_ports(port)[0].state is State.NOTE
    assert doctor.check_ports(port)[0].state is State.OK


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel is for Linux")
def test_how_packages_are_forwarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries, "missing_to_compile", lambda: {"gcc": "a C compiler"})
    monkeypatch.setattr(system_libraries, "is_debian", lambda: True)
    assert only(doctor.check_forwarding(lambda: "")).state is State.OK
    found = only(doctor.check_forwarding(lambda: "There is no C compiler."))
    assert found.state is State.NOTE
    assert found.sentence.endswith("There is no C compiler. Type: sudo apt install -y gcc")


def test_a_full_disk(tmp_path: Path) -> None:
    assert only(doctor.check_disk(tmp_path, free=5_000_000)).state is State.WRONG
    assert only(doctor.check_disk(tmp_path / "not" / "there", free=10**10)).state is State.OK


@pytest.mark.parametrize(("state", "code"), [(State.NOTE, 0), (State.WRONG, 1)])
def test_the_exit_code_follows_the_worst(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: State, code: int
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda environment: [Finding(state, "Something. Do this.")])
    assert doctor.main([]) == code
    assert f"{state.value:<5}  Something. Do this." in capsys.readouterr().out


def test_qt_is_really_asked(private: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    found = doctor.ask_qt(environment | {"QT_QPA_PLATFORM": "offscreen"})
    assert isinstance(found, dict), found
    assert found["platform"] == "offscreen"


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
def test_a_display_that_is_not_there_does_not_take_the_doctor_with_it(private: Path) -> None:
    found = doctor.ask_qt({**os.environ, "DISPLAY": ":4093", "QT_QPA_PLATFORM": "xcb"})
    assert isinstance(found, str)
    assert "does not start" in found
