"""Write tiny files in the AEDAT 4.0 format: a version line and FlatBuffers, built by hand."""

from __future__ import annotations

import struct

import numpy as np

_EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": ["<i8", "<i2", "<i2", "?"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
_INFO = (
    b'<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">'
    b'<node name="0" path="/mainloop/Recorder/outInfo/0/">'
    b'<attr key="typeIdentifier" type="string">EVTS</attr>'
    b'<node name="info" path="/mainloop/Recorder/outInfo/0/info/">'
    b'<attr key="sizeX" type="int">128</attr><attr key="sizeY" type="int">128</attr>'
    b"</node></node></node></dv>"
)


def _header() -> bytes:
    # Root table at 24 with fields: compression (none), position of the data table (none), info.
    # Offsets are counted from the size in front of the buffer.
    body = struct.pack("<I4s", 24 - 4, b"IOHE") + struct.pack("<5H2x", 10, 20, 4, 8, 16)
    body += struct.pack("<iiqI", 24 - 12, 0, -1, 4)
    body += struct.pack("<I", len(_INFO)) + _INFO + b"\0"
    return struct.pack("<I", len(body)) + body


def _packet(events: np.ndarray) -> bytes:
    body = struct.pack("<I4s", 20 - 4, b"EVTS") + struct.pack("<3H2x", 6, 8, 4)
    body += struct.pack("<iI", 20 - 12, 4) + struct.pack("<I", len(events)) + events.tobytes()
    return struct.pack("<I", len(body)) + body


def write_aedat4(path, t, x, y, p, events_per_packet: int = 50) -> None:
    """Write events, sorted by time, as a camera of 128x128 pixels would record them."""
    events = np.zeros(len(t), _EVENT)
    for name, values in zip(_EVENT.names, (t, x, y, p), strict=True):
        events[name] = values
    content = b"#!AER-DAT4.0\r\n" + _header()
    for start in range(0, len(events), events_per_packet):
        packet = _packet(events[start : start + events_per_packet])
        content += struct.pack("<ii", 0, len(packet)) + packet
    path.write_bytes(content)
