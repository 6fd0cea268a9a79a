"""Import SLAYER without the notices it writes about tools that this library does not use."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

# Importing SLAYER prints that a toolbox for event-camera data and a CUDA compiler are missing.
# Programs whose output is read by other programs cannot have that.
with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
    from lava.lib.dl import slayer

__all__ = ["slayer"]
