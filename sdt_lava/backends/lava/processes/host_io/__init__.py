"""Feed a Lava network from a file and record its signals to files."""

from sdt_lava.backends.lava.processes.host_io.process import (
    FrameSource,
    RecordedSignal,
    SpikeRecorder,
)

__all__ = ["FrameSource", "RecordedSignal", "SpikeRecorder"]
