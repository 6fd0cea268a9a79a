"""Find the line of the user's code that is being traced."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from traceback import walk_tb

import torch

_OURS = str(Path(__file__).parent)
_TORCH = str(Path(torch.__file__).parent)
_LIBRARIES = ("site-packages", "dist-packages")


def place() -> str:
    """Return file, line and code of the innermost frame outside torch and this package.

    Frames of installed libraries are used only if there are no others.
    """
    frames = []
    frame = sys._getframe(1)
    while frame is not None:
        frames.append((frame.f_code.co_filename, frame.f_lineno))
        following = frame.f_back
        if following is None:
            break
        frame = following
    return _innermost(frames)


def place_of(error: BaseException) -> str:
    """Return the innermost position outside torch and this package in an error's traceback."""
    steps = walk_tb(error.__traceback__)
    return _innermost([(frame.f_code.co_filename, line) for frame, line in steps][::-1])


def _innermost(frames: list[tuple[str, int]]) -> str:
    frames = [frame for frame in frames if not frame[0].startswith((_OURS, _TORCH, "<"))]
    user_frames = [frame for frame in frames if not any(part in frame[0] for part in _LIBRARIES)]
    if not frames:
        return ""
    # The caller of the tracer is the last frame and not part of the network.
    name, number = (user_frames or frames)[0]
    code = linecache.getline(name, number).strip()
    return f"{name}:{number}: `{code}`" if code else f"{name}:{number}"
