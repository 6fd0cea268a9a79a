"""The kernels as they are compiled for processors without the instructions of AVX-512."""

import os
import subprocess
import sys

import pytest

FEATURES = {
    "haswell": "+avx2,+bmi,+bmi2,+fma,+popcnt,+sse4.2",
    "x86-64": "+sse2",
}
# Every kernel, forced, on layers of any shape; and sums that overflow.
TESTS = "any_shape or small_windows or overflow"


@pytest.mark.slow
@pytest.mark.parametrize("processor", FEATURES)
def test_kernels_for_another_processor(processor, tmp_path):
    target = {
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": FEATURES[processor],
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TESTS]
    done = subprocess.run(
        [*command, "tests/simulate/engine/test_kernels.py"],
        env={**os.environ, **target},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "passed" in done.stdout
