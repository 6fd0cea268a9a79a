"""The engine as it computes on other processors, and with libraries that were told otherwise."""

import os
import subprocess
import sys

import pytest

KERNELS = "tests/engine/test_kernels.py"
OPERATORS = ["tests/engine/test_operators.py", "tests/engine/test_probe.py"]
# Every kernel, forced, on layers of any shape; and sums that overflow.
COMPILED = ([KERNELS], "any_shape or small_windows or overflow")
# Every operator on any geometry and on networks, and the traps that are known.
LINKED = (OPERATORS, "any_geometry or every_operator or one_channel or matrix")

PROCESSORS = {
    "haswell": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+bmi,+bmi2,+fma,+popcnt,+sse4.2",
    },
    "generic": {"NUMBA_CPU_NAME": "generic"},
}
# oneDNN, torch's own loops and MKL are limited together, where each has a limit of that kind.
LIBRARIES = {
    "SSE4.1": {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "AVX-512 without VNNI": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "bfloat16": {"DNNL_DEFAULT_FPMATH_MODE": "BF16"},
    "TF32": {"DNNL_DEFAULT_FPMATH_MODE": "TF32", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"},
}


def run_tests(selection, environment):
    files, names = selection
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", names]
    done = subprocess.run(
        # What the tests of this run left out of their selection is no part of it.
        [*command, "-m", "not slow", *files],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
def test_kernels_for_another_processor(processor, tmp_path):
    # Machine code of one processor is no other's.
    run_tests(COMPILED, {**PROCESSORS[processor], "NUMBA_CACHE_DIR": str(tmp_path)})


@pytest.mark.slow
@pytest.mark.parametrize("limit", LIBRARIES)
def test_operators_of_libraries_with_limits(limit):
    run_tests(LINKED, LIBRARIES[limit])
