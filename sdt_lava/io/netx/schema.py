"""Schema of network files: names, versions, limits, and the fields of each layer type.

The writer and the reader use the same tables, so that they always support the same fields.
``docs/netx-format.md`` describes the format for users.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from sdt_lava.ir import (
    And,
    Conv,
    CubaLif,
    Delta,
    Dense,
    Flatten,
    GroupSum,
    Input,
    Lif,
    MaxPool,
    Node,
    OrPool,
    Readout,
    Shortcut,
    Sigma,
    SigmaDelta,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.numerics import (
    BIAS_EXPONENT_HIGH,
    BIAS_MANTISSA_HIGH,
    BIAS_MANTISSA_LOW,
    DECAY_UNITY,
    MAX_WEIGHT_EXPONENT,
    MIN_WEIGHT_EXPONENT,
    PAYLOAD_LIMIT,
    STATE_LIMIT,
    THRESHOLD_LIMIT,
    WEIGHT_HIGH,
    WEIGHT_LIMIT,
    WEIGHT_LOW,
)

FORMAT = "sdt-lava-netx"
VERSION = 1

# Lowest and highest HDF5 file version that the writer uses. Since 1.10, object headers have
# checksums, which detect damage, and groups are compact.
HDF5_VERSIONS = ("v110", "v110")
# lava-dl writes layer types as fixed-length strings of ten bytes.
TYPE_BYTES = 10
TYPE_DTYPE = f"S{TYPE_BYTES}"

# Limits on untrusted files, in addition to those of :mod:`sdt_lava.io.limits`. They are part of
# the format: no valid file exceeds them.
TEXT_LIMIT = 1024  # [byte] one name
CHUNKS_LIMIT = 65_536  # chunks of one array
MEMBER_LIMIT = 64  # members or attributes of a group, except the group of layers
INPUTS_LIMIT = 4096  # inputs of one node
RANK_LIMIT = 8  # axes of an array
SIDE_LIMIT = 2**20  # one side of a frame
WINDOW_LIMIT = 2**15  # kernel, stride, padding, dilation
GROUPS_LIMIT = 2**20
TIMESTEPS_LIMIT = 2**20
SHIFT_LIMIT = 31
DRIVE_SHIFT_LIMIT = 7
READOUT_BIAS_LIMIT = 2**31 - 1
# Axonal delays. Loihi's have six bits; this limit only keeps the history of a population small.
DELAY_LIMIT = 2**10
# Deflate cannot compress better than 1032:1 (zlib technical notes); more is a bomb.
RATIO_LIMIT = 1100
# Maximum ratio of the bytes of all arrays to those of the file: layers may share an array through
# hard links.
SHARING_LIMIT = 8
# [byte] Arrays up to this size may have any compression ratio.
RATIO_FREE_BYTES = 2**16
# [element] Smaller arrays are stored uncompressed: compression would not shrink them.
COMPRESS_FROM = 64
# [byte] Largest chunk written.
CHUNK_BYTES = 32 * 2**20

ROOT_ATTRIBUTES = ("format", "version", "generator", "timesteps", "metadata")
NODE_TEXTS = ("name", "block", "origin")

# Layer types of lava-dl's netx (lava-dl 0.6.0, netx/hdf5.py).
STOCK_TYPES = ("input", "conv", "pool", "flatten", "dense", "dense_rec", "average")
STOCK_REFUSED = {
    "convT": "a transposed convolution, which neither stock netx nor sdt-lava runs",
    "unpool": "an unpooling, which neither stock netx nor sdt-lava runs",
    "concat": "which joins layers of which the file does not say which",
    "dense_comp": "whose complex weights have no counterpart here",
}
STOCK_NEURONS = ("CUBA", "LOIHI", "SDNN")
STOCK_NEURONS_REFUSED = ("RF", "RF_PHASE", "RF_IZ", "RF_ZERO", "ALIF")
# Lava stores the stride, padding, dilation, groups and kernel size of a convolution as int8.
STOCK_CONV_LIMIT = 127
# Longest delay of stock netx, which truncates longer ones.
STOCK_DELAY_LIMIT = 62
# Lava's LIF process stores a bias mantissa in 16 bits; the image of an input layer becomes one.
BIAS_LOW, BIAS_HIGH = -(2**15), 2**15 - 1
# Sigma-delta neurons: thresholds, biases and inputs have 12 fractional bits in a state of 24.
MESSAGE_MANTISSA_LIMIT = STATE_LIMIT >> 12
# Maximum exponent of their messages and states. A lead never exceeds the number of layers.
MESSAGE_EXPONENT_LIMIT = 7
LEAD_LIMIT = 4096

PAIR = (2, 2)


@dataclass(frozen=True)
class Scalar:
    """A number or a short tuple of numbers, stored as an attribute of the node's layer.

    Parameters
    ----------
    name : str
        Name in the node class and in the file.
    low, high : float
        Smallest and largest value; a real number must lie strictly between them.
    count : tuple of int, optional
        Minimum and maximum number of entries of a tuple; None for a single number.
    real : bool
        Whether the type is float64 instead of int64.
    flag : bool
        Whether the value is True or False in the node, and 1 or 0 in the file.
    default : float, optional
        Value if the layer has no such attribute; a value equal to the default is not written.
    """

    name: str
    low: float
    high: float
    count: tuple[int, int] | None = None
    real: bool = False
    flag: bool = False
    default: float | None = None


@dataclass(frozen=True)
class Array:
    """An array of integers, stored as a dataset of a layer.

    Parameters
    ----------
    name : str
        Name in the node class and in the file.
    dtype : type
        Type in the file.
    rank : int
        Number of axes.
    low, high : int
        Smallest and largest value.
    optional : bool
        Whether the value may be None in the node and missing from the file.
    eight_bits : bool
        Whether the values must be weights that Loihi can represent, see
        :func:`sdt_lava.ir.numerics.lava_weights`.
    """

    name: str
    dtype: type[np.signedinteger]
    rank: int
    low: int
    high: int
    optional: bool = False
    eight_bits: bool = False


@dataclass(frozen=True)
class PerChannel:
    """An integer for all output channels (an attribute) or one per channel (a dataset ``(O,)``).

    Parameters
    ----------
    name : str
        Name in the node class and in the file.
    dtype : type
        Type of the dataset.
    low, high : int
        Smallest and largest value.
    """

    name: str
    dtype: type[np.signedinteger]
    low: int
    high: int

    @property
    def scalar(self) -> Scalar:
        """The field for a single value."""
        return Scalar(self.name, self.low, self.high)

    @property
    def array(self) -> Array:
        """The field for one value per channel."""
        return Array(self.name, self.dtype, 1, self.low, self.high)

    def form(self, value: object) -> Scalar | Array:
        """Return the field that fits a value."""
        return self.array if isinstance(value, np.ndarray) and value.ndim else self.scalar


@dataclass(frozen=True)
class Layer:
    """A layer type of the extended layout, which holds one node.

    Parameters
    ----------
    node : type
        Node class.
    type : str
        Layer type, at most ten ASCII characters, unknown to stock netx.
    scalars, arrays, per_channel : tuple
        Fields of the node except name, block, origin and inputs.
    """

    node: type[Node]
    type: str
    scalars: tuple[Scalar, ...] = ()
    arrays: tuple[Array, ...] = ()
    per_channel: tuple[PerChannel, ...] = ()


def _weight(rank: int, name: str = "weight", *, optional: bool = False) -> Array:
    return Array(name, np.int16, rank, WEIGHT_LOW, WEIGHT_HIGH, optional, eight_bits=True)


_EXPONENT = (PerChannel("exponent", np.int8, MIN_WEIGHT_EXPONENT, MAX_WEIGHT_EXPONENT),)
_MESSAGES = (
    Scalar("threshold", 0, MESSAGE_MANTISSA_LIMIT),
    Scalar("spike_exponent", 0, MESSAGE_EXPONENT_LIMIT),
    Scalar("state_exponent", 0, MESSAGE_EXPONENT_LIMIT),
)
_WINDOW = (
    Scalar("kernel", 1, WINDOW_LIMIT),
    Scalar("stride", 1, WINDOW_LIMIT),
    Scalar("padding", 0, WINDOW_LIMIT),
)
_LAYERS = (
    Layer(
        Input,
        "input_sdt",
        (
            Scalar("shape", 1, SIDE_LIMIT, count=(1, RANK_LIMIT)),
            Scalar("scale", -inf, inf, real=True),
            Scalar("low", -PAYLOAD_LIMIT, PAYLOAD_LIMIT),
            Scalar("high", -PAYLOAD_LIMIT, PAYLOAD_LIMIT),
            Scalar("offset", -inf, inf, real=True, default=0.0),
            Scalar("widens", 0, 1, flag=True, default=False),
            Scalar("step", 1, PAYLOAD_LIMIT, default=1),
        ),
    ),
    Layer(
        Conv,
        "conv_sdt",
        (
            Scalar("stride", 1, WINDOW_LIMIT, PAIR),
            Scalar("padding", 0, WINDOW_LIMIT, PAIR),
            Scalar("dilation", 1, WINDOW_LIMIT, PAIR),
            Scalar("groups", 1, GROUPS_LIMIT),
        ),
        (_weight(4),),
        _EXPONENT,
    ),
    Layer(Dense, "dense_sdt", (), (_weight(2),), _EXPONENT),
    Layer(Flatten, "flat_sdt"),
    Layer(
        Lif,
        "lif",
        (
            Scalar("threshold", 0, THRESHOLD_LIMIT),
            Scalar("voltage_decay", 0, DECAY_UNITY),
            Scalar("current_decay", 0, DECAY_UNITY),
            Scalar("bias_exponent", 0, BIAS_EXPONENT_HIGH),
        ),
        (Array("bias", np.int32, 1, BIAS_MANTISSA_LOW, BIAS_MANTISSA_HIGH, optional=True),),
    ),
    Layer(
        CubaLif,
        "cuba_lif",
        (
            Scalar("bias_exponent", 0, BIAS_EXPONENT_HIGH),
            Scalar("drive_shift", -DRIVE_SHIFT_LIMIT, DRIVE_SHIFT_LIMIT),
        ),
        (
            Array("bias", np.int32, 1, BIAS_MANTISSA_LOW, BIAS_MANTISSA_HIGH, optional=True),
            _weight(2, "weight_rec", optional=True),
        ),
        (
            PerChannel("threshold", np.int32, 0, THRESHOLD_LIMIT),
            PerChannel("voltage_decay", np.int16, 0, DECAY_UNITY),
            PerChannel("current_decay", np.int16, 0, DECAY_UNITY),
            PerChannel("delay", np.int16, 0, DELAY_LIMIT),
        ),
    ),
    Layer(
        SigmaDelta,
        "sig_delta",
        (
            *_MESSAGES,
            Scalar("rectified", 0, 1, flag=True, default=True),
            Scalar("lead", 0, LEAD_LIMIT, default=0),
        ),
        (
            Array(
                "bias",
                np.int32,
                1,
                -MESSAGE_MANTISSA_LIMIT,
                MESSAGE_MANTISSA_LIMIT,
                optional=True,
            ),
        ),
    ),
    Layer(Delta, "delta", _MESSAGES),
    Layer(Sigma, "sigma", (Scalar("scale", 0, inf, real=True),)),
    Layer(Shortcut, "shortcut"),
    Layer(Subsample, "subsample", (Scalar("stride", 1, WINDOW_LIMIT),)),
    Layer(And, "and"),
    Layer(TokenSum, "token_sum", (Scalar("weight", -WEIGHT_LIMIT, WEIGHT_LIMIT),)),
    Layer(TokenMean, "token_mean", (Scalar("shift", 0, SHIFT_LIMIT),)),
    Layer(OrPool, "or_pool", _WINDOW),
    Layer(TokenDilate, "tok_dilate", (Scalar("heads", 1, GROUPS_LIMIT),)),
    Layer(MaxPool, "max_pool", _WINDOW),
    Layer(GroupSum, "group_sum", (Scalar("groups", 1, GROUPS_LIMIT),)),
    Layer(
        Readout,
        "readout",
        (Scalar("scale", 0, inf, real=True),),
        (
            _weight(2),
            Array("bias", np.int32, 1, -READOUT_BIAS_LIMIT, READOUT_BIAS_LIMIT, optional=True),
        ),
        _EXPONENT,
    ),
)
LAYER_OF_NODE: dict[type[Node], Layer] = {}
LAYER_OF_TYPE: dict[str, Layer] = {}


def register_layer(layer: Layer) -> None:
    """Add a layer type to the extended layout: the fields of a kind of node, and their ranges.

    Raises
    ------
    ValueError
        If its type is taken, is one of stock netx, or is longer than netx allows.
    """
    taken = {*LAYER_OF_TYPE, *STOCK_TYPES, *STOCK_REFUSED}
    if layer.type in taken or not 0 < len(layer.type.encode()) <= TYPE_BYTES:
        raise ValueError(f"layer type {layer.type!r}: a new one of up to {TYPE_BYTES} bytes")
    LAYER_OF_NODE[layer.node] = LAYER_OF_TYPE[layer.type] = layer


for _layer in _LAYERS:
    register_layer(_layer)
