"""System packages: one line that holds everything, one apt call for root, a sentence elsewhere."""

from __future__ import annotations

import os
from typing import Any

import pytest
from bootstrap import system

from client.app import system_libraries as needs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only Linux has anything to install")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A Debian that has nothing; collects the packages that apt is asked for."""
    asked: list[Any] = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(needs, "missing_libraries", lambda libraries: [] if asked else list(libraries))
    monkeypatch.setattr(needs, "missing_programs", lambda programs: [] if asked else list(programs))
    compiling = {"gcc": "a C compiler", "libc6-dev": "headers", "python3-dev": "Python's headers"}
    monkeypatch.setattr(needs, "missing_to_compile", lambda: {} if asked else compiling)
    monkeypatch.setattr(needs, "has_software_gl", lambda: bool(asked))
    monkeypatch.setattr(needs, "has_fonts", lambda: bool(asked))
    monkeypatch.setattr(needs, "is_debian", lambda: True)
    monkeypatch.setattr(system, "can_make_environment", lambda: bool(asked))
    monkeypatch.setattr(system, "_apt_install", lambda packages, line: asked.append(packages))
    return asked


def test_a_person_gets_one_line_with_everything(bare: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(system.LackingError) as caught:
        system.provide("test", display=False, environment_ready=False)
    lines = [line for line in str(caught.value).splitlines() if line.startswith("sudo apt install")]
    assert len(lines) == 1
    for package in ("libegl1", "libxcb-cursor0", "xvfb", "fonts-dejavu-core", "libgl1-mesa-dri", "chromium"):
        assert package in lines[0].split()
    assert any(word.endswith("-venv") for word in lines[0].split())
    assert bare == []


def test_root_installs_everything_in_one_call(bare: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system.provide("demo", display=False, environment_ready=False)
    (packages,) = bare
    assert "libegl1" in packages
    assert "xvfb" in packages
    assert not any(package.startswith("chromium") for package in packages)


def test_what_is_still_lacking_after_apt_is_said(bare: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(system, "_apt_install", lambda packages, line: None)
    with pytest.raises(system.LackingError, match="still lacks"):
        system.provide("demo", display=True, environment_ready=True)


@pytest.mark.parametrize(
    ("verb", "display", "wanted", "unwanted"),
    [
        ("serve", False, set(), {"libegl1", "xvfb"}),
        ("desktop", True, {"libegl1", "libxcb-cursor0"}, {"xvfb", "chromium"}),
        ("demo", True, {"libegl1"}, {"xvfb"}),
        ("demo", False, {"libegl1", "xvfb"}, {"chromium", "gcc"}),
        ("test", True, {"xvfb", "chromium-driver", "firefox-esr", "pulseaudio", "gcc", "python3-dev"}, set()),
    ],
)
def test_each_verb_asks_for_what_it_uses(
    bare: list[Any], verb: str, display: bool, wanted: set[str], unwanted: set[str]
) -> None:
    found = set(system.lacking(verb, display=display, environment_ready=True))
    assert wanted <= found
    assert not unwanted & found


def test_other_systems_get_a_sentence(bare: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "is_debian", lambda: False)
    with pytest.raises(system.LackingError, match=r"lacks .*libEGL\.so\.1.*Install the packages"):
        system.provide("desktop", display=True, environment_ready=True)


def test_nothing_lacking_means_nothing_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "lacking", lambda *arguments, **options: {})
    system.provide("test", display=False, environment_ready=True)


def test_the_loader_has_the_last_word() -> None:
    assert needs.can_load("libc.so.6")
    assert not needs.can_load("libhearth-does-not-exist.so.7")
