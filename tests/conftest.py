"""Settings for all tests: few threads, so that results and times do not depend on the machine."""

from __future__ import annotations

import os
import signal
from collections import Counter

# Must be set before torch or NumPy start their thread pools.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from tests.needs import HAS_LAVA, REASON, module_needs_lava

# The same examples in every run: a failure belongs to the change that it appeared with. Others are
# searched with HYPOTHESIS_PROFILE=search.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A shell ignores Ctrl-C in what it runs in the background, and so would the tests' own processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _one_torch_thread():
    """Pin torch to one thread; imported here so that tests without torch stay quick."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    yield


class _ModuleOfLava(pytest.Module):
    """A test module that cannot be imported here."""

    def collect(self):
        pytest.skip(REASON, allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Leave modules whose ``pytestmark`` is ``lava`` alone where Lava is not installed."""
    if not HAS_LAVA and module_needs_lava(module_path):
        return _ModuleOfLava.from_parent(parent, path=module_path)
    return None


def pytest_runtest_setup(item):
    """Skip tests that are marked ``lava`` where Lava is not installed."""
    if not HAS_LAVA and item.get_closest_marker("lava"):
        pytest.skip(REASON)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that no core waits for one of them at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    alone = {path for path in slow if slow[path] <= 2}  # few tests of a minute each
    items.sort(key=lambda item: (item.path not in alone, -slow[item.path]))
