"""The command line of the desktop program."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from client.app.choices import CAMERA_HELP, SOUND_HELP


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options; argparse prints what is wrong with them and leaves with status 2."""
    parser = argparse.ArgumentParser(prog="hearth", description="Hearth, the desktop program.")
    parser.add_argument("--join", metavar="LINK", help="stand before the door of this meeting")
    parser.add_argument("--join-now", action="store_true", help="go in without stopping at the door")
    parser.add_argument("--name", default="", help="your name")
    parser.add_argument("--camera", metavar="SPEC", help=CAMERA_HELP)
    parser.add_argument("--sound", metavar="SPEC", help=SOUND_HELP)
    parser.add_argument("--studio", choices=("process", "thread"), default="process", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=_size, metavar="WxH", help="the window's size in pixels")
    parser.add_argument("--seconds", type=float, metavar="N", help="end by itself after N seconds")
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help="write a picture of the window")
    parser.add_argument("--screenshot-after", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--stats", type=Path, metavar="FILE", help="write what the window showed as JSON")
    parser.add_argument("--fake", type=int, metavar="N", help="a gallery with N people and no server")
    return parser.parse_args(argv)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and 1 <= int(width) <= 16384 and 1 <= int(height) <= 16384):
        raise argparse.ArgumentTypeError("write the size as 1280x720")
    return int(width), int(height)
