"""The virtual environment: what is kept, what is made anew, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bootstrap import installer
from bootstrap.environment import STAMP, Environment
from bootstrap.installer import InstallError, SetupError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A checkout in a path with spaces whose installers only note that they were asked."""
    root = tmp_path / "a path with spaces"
    (root / "requirements").mkdir(parents=True)
    for name in ("pip.txt", "app.txt", "test.txt"):
        (root / "requirements" / name).write_text(f"{name}\n")

    def create(self: Environment) -> None:
        self.python.parent.mkdir(parents=True)
        self.python.write_text("")
        _log(self, "create")

    def install(self: Environment, layer: str) -> None:
        _log(self, layer)
        for word, touched in (("refuse", False), ("fail", True)):
            if (self.root / word).exists():
                raise InstallError("no network", touched)

    monkeypatch.setattr(Environment, "_create", create)
    monkeypatch.setattr(Environment, "_install", install)
    monkeypatch.setattr(installer, "starts", lambda python: python.exists())
    monkeypatch.delenv("HEARTH_HOME", raising=False)
    return Environment.of(root)


def _log(environment: Environment, word: str) -> None:
    with (environment.root / "log").open("a") as log:
        log.write(word + "\n")


def log(environment: Environment) -> list[str]:
    path = environment.root / "log"
    words = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return words


def test_the_first_start_makes_it_and_the_second_does_nothing(home: Environment) -> None:
    assert not home.ready(("app",))
    home.prepare(("app",))
    assert log(home) == ["create", "app"]
    home.prepare(("app",))
    assert log(home) == []


def test_the_test_tools_are_a_layer_of_their_own(home: Environment) -> None:
    home.prepare(("app",))
    assert not home.ready(("app", "test"))
    home.prepare(("app", "test"))
    assert log(home) == ["create", "app", "test"]
    assert home.ready(("app",))


def test_changed_requirements_are_installed_into_the_same_environment(home: Environment) -> None:
    home.prepare(("app",))
    (home.root / "requirements/app.txt").write_text("newer\n")
    assert not home.ready(("app",))
    home.prepare(("app",))
    assert log(home) == ["create", "app", "app"]


def test_an_interrupted_setup_is_done_anew(home: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    (home.root / "fail").touch()
    with pytest.raises(SetupError):
        home.prepare(("app",))
    assert not home.ready(("app",))
    (home.root / "fail").unlink()
    home.prepare(("app",))
    assert log(home) == ["create", "app", "create", "app"]
    assert "did not finish" in capsys.readouterr().out


def test_an_update_that_changed_nothing_keeps_what_works(home: Environment) -> None:
    home.prepare(("app",))
    (home.root / "refuse").touch()
    with pytest.raises(SetupError):
        home.prepare(("app", "test"))
    assert home.ready(("app",))
    (home.root / "refuse").unlink()
    home.prepare(("app", "test"))
    assert log(home) == ["create", "app", "test", "test"]


def test_a_moved_checkout_is_set_up_again(home: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    home.prepare(("app",))
    moved = Environment.of(home.root.rename(home.root.with_name("elsewhere")))
    assert not moved.ready(("app",))
    moved.prepare(("app",))
    assert log(moved) == ["create", "app", "create", "app"]
    assert "moved" in capsys.readouterr().out


def test_a_vanished_python_is_noticed(home: Environment) -> None:
    home.prepare(("app",))
    home.python.unlink()
    assert not home.ready(("app",))
    home.prepare(("app",))
    assert log(home) == ["create", "app", "create", "app"]


def test_a_folder_that_is_not_ours_is_left_alone(home: Environment) -> None:
    home.folder.mkdir()
    (home.folder / "diary.txt").write_text("mine")
    with pytest.raises(SetupError, match="HEARTH_HOME"):
        home.prepare(("app",))
    assert (home.folder / "diary.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("HEARTH_HOME", str(tmp_path / "taken"))
    with pytest.raises(SetupError, match=r"cannot be written .*Set HEARTH_HOME"):
        Environment.of(Path(__file__).parents[2]).prepare(("app",))


def test_a_working_environment_of_somebody_else_is_used(home: Environment) -> None:
    home.python.parent.mkdir(parents=True)
    home.python.write_text("")
    home.prepare(("app",))
    assert log(home) == ["app"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"layers": {}}'])
def test_a_damaged_stamp_counts_as_unfinished(home: Environment, text: str) -> None:
    home.prepare(("app",))
    (home.folder / STAMP).write_text(text)
    assert not home.ready(("app",))
    home.prepare(("app",))
    assert json.loads((home.folder / STAMP).read_text())["working"] is None


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_HOME", str(tmp_path / "other"))
    assert Environment.of(tmp_path).folder == tmp_path / "other" / "venv"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("Failed to establish a new connection: NewConnectionError", "network could not be reached"),
        ("SSLError(CERTIFICATE_VERIFY_FAILED)", "PIP_CERT"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("something else", "something else"),
    ],
)
def test_failures_of_the_installer_become_sentences(said: str, sentence: str) -> None:
    assert sentence in installer.explain(said)
