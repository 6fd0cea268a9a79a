"""Find the line of the user's code that is being traced."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path

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
        name = frame.f_code.co_filename
        if not name.startswith((_OURS, _TORCH, "<")):
            frames.append((name, frame.f_lineno))
        following = frame.f_back
        if following is None:
            break
        frame = following
    user_frames = [
        position for position in frames if not any(part in position[0] for part in _LIBRARIES)
    ]
    if not frames:
        return ""
    # The caller of the tracer is the last frame and not part of the network.
    name, number = (user_frames or frames)[0]
    code = linecache.getline(name, number).strip()
    return f"{name}:{number}: `{code}`" if code else f"{name}:{number}"
