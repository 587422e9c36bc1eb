"""Installers as child processes: what a person sees meanwhile, and what is known of how they ended."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from bootstrap import installer
from bootstrap.environment import _only_one
from bootstrap.installer import InstallError
from bootstrap.progress import Step

posix = pytest.mark.skipif(os.name != "posix", reason="a shell script plays the installer")

FETCHES = """
echo "Collecting numpy==2.4.6 (from -r app.txt)"
echo "  Downloading numpy-2.4.6.whl (16.9 MB)"
echo "  Downloading segno-1.6.6.whl (0.1 MB)"
"""


def program(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that has a shell's programs and a folder of ours, and no uv."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("PIP_TARGET", "/somewhere/else")
    return tmp_path


@posix
def test_large_downloads_are_told(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = program(alone / "python", FETCHES)
    with Step("Installing") as step:
        installer.install(python, alone / "app.txt", step)
    shown = capsys.readouterr().out
    assert "fetching numpy-2.4.6.whl (16.9 MB)" in shown
    assert "segno" not in shown
    assert "Installing: done after" in shown


@posix
@pytest.mark.parametrize(
    ("said", "touched"), [("", False), ("echo 'Installing collected packages: numpy'", True)]
)
def test_a_failure_says_whether_something_was_changed(alone: Path, said: str, touched: bool) -> None:
    python = program(alone / "python", FETCHES + said + "\necho 'No space left on device'; exit 2\n")
    with pytest.raises(InstallError, match="disk is full") as caught, Step("Installing") as step:
        installer.install(python, alone / "app.txt", step)
    assert caught.value.touched is touched


@posix
def test_a_persons_settings_do_not_reach_the_installer(alone: Path) -> None:
    python = program(
        alone / "python", f'echo "$PIP_TARGET" > {alone}/target\necho "$@" > {alone}/arguments\n'
    )
    with Step("Installing") as step:
        installer.install(python, alone / "app.txt", step)
    assert (alone / "target").read_text().strip() == ""
    arguments = (alone / "arguments").read_text().split()
    assert "--require-hashes" in arguments
    assert arguments[-2:] == ["-r", str(alone / "app.txt")]


@posix
def test_uv_comes_first_and_pip_when_it_fails(alone: Path) -> None:
    python = program(alone / "python", f"echo pip >> {alone}/order\n")
    uv = program(alone / "bin" / "uv", f"echo uv >> {alone}/order\n")
    with Step("Installing") as step:
        installer.install(python, alone / "app.txt", step)
        program(uv, f"echo uv >> {alone}/order; exit 1\n")
        installer.install(python, alone / "app.txt", step)
    assert (alone / "order").read_text().split() == ["uv", "uv", "pip"]


def test_whether_a_python_starts(tmp_path: Path) -> None:
    assert installer.starts(Path(sys.executable))
    assert not installer.starts(tmp_path / "none")


@posix
def test_the_lock_outlives_a_killed_start_while_its_installer_runs(alone: Path) -> None:
    import fcntl

    lock = alone / ".venv.lock"
    with _only_one(lock):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    with open(lock, "w") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.kill()
        child.wait()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
