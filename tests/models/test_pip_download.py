"""pip is asked for exactly one file; its lines become bytes, its failures sentences, and it never stays."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from models.errors import FetchCancelledError, FetchError
from models.manifest import Source
from models.pip_download import download_arguments, knows_raw_progress, pip_download

SOURCE = Source("voices", "pypi", "voices", "1.0", "voices-1.0-py3-none-any.whl", 2000, "0" * 64)


def stand_in(tmp_path: Path, body: str) -> list[str]:
    """A program that is called like pip; `dest` is the folder it was told to use."""
    script = tmp_path / "pip.py"
    head = "import sys, time, pathlib\ndest = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n"
    script.write_text(head + body)
    return [sys.executable, str(script)]


def get(tmp_path: Path, body: str, cancel: threading.Event | None = None) -> tuple[Path, list[int]]:
    into = tmp_path / "into"
    into.mkdir()
    counts: list[int] = []
    path = pip_download(SOURCE, into, counts.append, cancel or threading.Event(), stand_in(tmp_path, body))
    return path, counts


def test_raw_progress_lines_become_bytes(tmp_path: Path) -> None:
    path, counts = get(
        tmp_path,
        f"""
print("Collecting voices==1.0")
for done in (0, 1000, 2000):
    print("Progress", done, "of 2000", flush=True)
(dest / "{SOURCE.file}").write_bytes(b"x")
""",
    )
    assert counts == [0, 1000, 2000]
    assert path.name == SOURCE.file


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: No matching distribution found for voices==1.0", "your package index does not have it"),
        ("NewConnectionError: Temporary failure in name resolution", "Check the network"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("something nobody thought of", "something nobody thought of"),
    ],
)
def test_a_failure_of_pip_is_a_sentence(tmp_path: Path, output: str, words: str) -> None:
    with pytest.raises(FetchError, match=words) as caught:
        get(tmp_path, f"print({output!r}, file=sys.stderr)\nsys.exit(1)")
    assert "voices 1.0" in str(caught.value)


def test_another_file_than_the_pinned_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"gave other\.whl instead of voices-1\.0"):
        get(tmp_path, "(dest / 'other.whl').write_bytes(b'x')")


def test_cancel_ends_pip_even_while_it_is_silent(tmp_path: Path) -> None:
    cancel = threading.Event()
    running = tmp_path / "running"
    body = f"""
pathlib.Path({str(running)!r}).touch()
print("Progress 10 of 2000", flush=True)
time.sleep(600)
"""
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(FetchCancelledError):
        pip_download(SOURCE, into, lambda _: cancel.set(), cancel, stand_in(tmp_path, body))
    assert running.exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "pip-output"]


def test_the_arguments_install_nothing_and_name_no_index() -> None:
    arguments = download_arguments(SOURCE, Path("here"), raw_progress=True)
    assert arguments[0] == "download"
    assert {"--no-deps", "--only-binary", "raw"} <= set(arguments)
    assert not [argument for argument in arguments if "index" in argument or "://" in argument]
    assert arguments[-1] == "voices==1.0"
    assert "--platform" not in arguments


@pytest.mark.parametrize(
    ("number", "known"), [("23.0.1", False), ("24.0", False), ("24.1", True), ("26.3", True)]
)
def test_old_pips_are_not_asked_for_raw_progress(number: str, known: bool) -> None:
    assert knows_raw_progress(number) is known
