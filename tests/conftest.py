"""The rules that every test keeps: nothing left behind, nothing unexpected from Qt, quick ones first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.async_tests import run_async_test
from tests.support.leaks import Belongings, left_behind, watch_event_loops
from tests.support.qt_messages import QtMessages
from tests.support.virtual_time import VirtualTime
from tests.support.xvfb import Xvfb

#: Rooms in the order in which their tests run; what is not named runs before "qml".
ORDER = ("rtc", "models", "tools", "server_lite", "client", "", "qml", "bench", "e2e")

HERE = Path(__file__).parent
KNOWN = pytest.StashKey[Belongings]()

settings.register_profile("hearth", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hearth")
watch_event_loops()
_qt = QtMessages()


def _rank(item: pytest.Item) -> int:
    try:
        room = item.path.relative_to(HERE).parts[0]
    except ValueError:
        room = ""
    if item.get_closest_marker("e2e") is not None:
        room = "e2e"
    return ORDER.index(room if room in ORDER else "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick rooms first, whole programs last; the order inside a room stays."""
    for item in items:
        if "e2e" in item.path.relative_to(HERE).parts[:1]:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=_rank)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """`run.py test` names the checks that failed before the tests here, so that nobody overlooks them."""
    failed = os.environ.get("HEARTH_FAILED_CHECKS", "")
    if failed:
        terminalreporter.section("checks that failed before the tests", red=True)
        terminalreporter.line(failed)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests."""
    return run_async_test(pyfuncitem) or None


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Iterator[None]:
    """What a fixture of a wider scope starts may outlive the test that happened to ask first."""
    if fixturedef.scope == "function":
        return (yield)
    before = Belongings.now()
    result = yield
    known = request.session.stash.get(KNOWN, None)
    if known is not None:
        known.merge(Belongings.now().new_since(before))
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Take stock before the test and its fixtures."""
    item.session.stash[KNOWN] = Belongings.now()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail the test for what Qt complained of."""
    _qt.install()
    result = yield
    _complain_of_qt()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """After the fixtures of the test are gone, fail it for what is left."""
    result = yield
    _complain_of_qt()
    _qt.forget_expectations()
    sentences = left_behind(item.session.stash[KNOWN])
    if sentences:
        pytest.fail("the test left something behind:\n" + "\n".join(sentences), pytrace=False)
    return result


def _complain_of_qt() -> None:
    messages = _qt.drain()
    if messages:
        pytest.fail("Qt said what no test expected:\n" + "\n".join(messages), pytrace=False)


@pytest.fixture
def qt_messages() -> QtMessages:
    """What Qt says: `.expect(pattern)` for a warning that the test causes on purpose."""
    _qt.install()
    return _qt


@pytest.fixture
def virtual_time() -> VirtualTime:
    """A clock that jumps; an `async def` test that asks for it runs on it."""
    return VirtualTime()


@pytest.fixture(scope="session")
def xvfb_display(request: pytest.FixtureRequest) -> Iterator[str]:
    """ ":N" of an X server for this run; set DISPLAY to it for child processes."""
    with Xvfb() as display:
        # The hook above is not called for fixtures of the session: its conftest lies below the root.
        known = request.session.stash.get(KNOWN, None)
        if known is not None:
            known.merge(Belongings.now())
        yield display


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own: HOME and the XDG folders point below a temporary folder, which is returned."""
    home = tmp_path / "home"
    for variable, folder in (
        ("HOME", "."),
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_RUNTIME_DIR", "run"),
    ):
        path = (home / folder).resolve()
        path.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv(variable, str(path))
    (home / "run").chmod(0o700)
    return home
