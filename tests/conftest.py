"""Settings for all tests: few threads, so that results and times do not depend on the machine."""

from __future__ import annotations

import os

# Must be set before torch or NumPy start their thread pools.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def _one_torch_thread():
    """Pin torch to one thread; imported here so that tests without torch stay quick."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    yield
