"""What hatch is told for a wheel: on Linux it carries the kernel, for every Python that can load it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from rtc._fanout import build

ROOT = Path(build.HERE).parents[1]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel is for Linux")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hook, as hatch loads it; hatch itself is there only while a wheel is built."""
    name = "hatchling.builders.hooks.plugin.interface"
    for part in range(1, name.count(".") + 2):
        package = ".".join(name.split(".")[:part])
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))

    class BuildHookInterface:
        root = str(ROOT)

    monkeypatch.setattr(sys.modules[name], "BuildHookInterface", BuildHookInterface, raising=False)
    spec = importlib.util.spec_from_file_location("build_kernel", ROOT / "packaging" / "build_kernel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BuildKernel()


def told(hook: Any, version: str) -> dict[str, Any]:
    data: dict[str, Any] = {"artifacts": ["/what/was/there"], "pure_python": True}
    hook.initialize(version, data)
    return data


def test_a_wheel_carries_the_kernel(hook: Any) -> None:
    data = told(hook, "standard")
    assert data["pure_python"] is False
    interpreter, interface, platform = data["tag"].split("-")
    assert (interpreter, interface) == ("cp311", "abi3")
    assert platform.startswith("linux_")
    kept, *carried = data["artifacts"]
    assert kept == "/what/was/there"
    # Relative to the root, as patterns of git are: these are files that git does not know.
    assert sorted(carried) == ["/rtc/_fanout/.built-from", f"/rtc/_fanout/{build.LIBRARY}"]
    assert all((ROOT / name.lstrip("/")).is_file() for name in carried)
    assert build.is_current(), "what is installed has to be taken without being built"


def test_the_kernel_uses_nothing_but_the_stable_interface_of_python() -> None:
    """Else the tag would promise other Pythons what they cannot load (PEP 384)."""
    used = subprocess.run(
        ["nm", "-D", "--undefined-only", str(build.build())], capture_output=True, text=True, check=True
    ).stdout
    python = {word for word in used.split() if word.startswith(("Py", "_Py"))}
    stable = {"PyArg_UnpackTuple", "PyErr_Occurred", "PyEval_RestoreThread", "PyEval_SaveThread"}
    stable |= {"PyImport_ImportModule", "PyLong_FromLong", "PyLong_FromVoidPtr", "PyObject_CallMethod"}
    stable |= {"PyObject_Free", "PyObject_Malloc", "_Py_Dealloc", "_Py_NoneStruct"}
    stable |= {"Py_DecRef", "Py_IncRef", "_Py_DecRef", "_Py_IncRef"}  # as headers of later Pythons have it
    assert python, "nm did not find them"
    assert python <= stable, f"look these up in the stable ABI first: {python - stable}"


@pytest.fixture
def failing(hook: Any, tmp_path: Path) -> Any:
    """The hook in a checkout whose kernel cannot be built."""
    package = tmp_path / "rtc" / "_fanout"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()  # else one on PYTHONPATH would be found before it
    (package / "build.py").write_text("import sys\nsys.exit('There is no C compiler.')\n")
    hook.root = str(tmp_path)
    return hook


def test_where_it_cannot_be_built_a_wheel_is_refused(failing: Any) -> None:
    with pytest.raises(RuntimeError, match="cannot be built: There is no C compiler"):
        told(failing, "standard")


def test_an_editable_install_goes_on_without_it(failing: Any) -> None:
    assert told(failing, "editable") == {"artifacts": ["/what/was/there"], "pure_python": True}


def test_elsewhere_it_is_a_wheel_for_all(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert told(hook, "standard") == {"artifacts": ["/what/was/there"], "pure_python": True}
