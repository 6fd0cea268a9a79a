"""A minute of soak: events stream on and on, and equal the reference."""

import pytest

from benchmarks.soak import STREAMS, make_network, soak

pytestmark = [pytest.mark.lava, pytest.mark.slow, pytest.mark.timeout(280)]

SECONDS = 60.0


@pytest.fixture(scope="module")
def net():
    return make_network()


@pytest.mark.parametrize("backend", STREAMS)
def test_a_stream_does_not_drift(backend, net):
    result = soak(backend, net, STREAMS[backend] * SECONDS)
    assert result["steps"] > 0 and result["not_zero"] > 0
    assert result["differing"] == 0
    for name in ("processes", "threads", "files", "handlers"):
        assert len(result[name]) == 1, result
