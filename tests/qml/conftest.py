"""The screen for the tests of this room."""

from __future__ import annotations

from tests.support.screen import application

__all__ = ["application"]
