"""Choose the layers of a stock network to read, and determine the shape of their input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx.guard import SafeGroup
from sdt_lava.io.netx.stock_fields import frame_shape, read_number, read_vector
from sdt_lava.ir import Shape

_DENSE = ("dense", "dense_rec")


@dataclass(frozen=True)
class Choice:
    """The layers of a file that are read.

    Parameters
    ----------
    layers : tuple of SafeGroup
        The layers that are read.
    types : tuple of str
        Their types.
    skipped : tuple of SafeGroup
        The layers before them.
    """

    layers: tuple[SafeGroup, ...]
    types: tuple[str, ...]
    skipped: tuple[SafeGroup, ...] = ()

    def index(self, position: int) -> int:
        """Return the index in the file of the layer at a position in this choice."""
        return len(self.skipped) + position

    def without_first(self) -> Choice:
        """Return the choice without its first layer, which does not define the input shape."""
        return replace(self, layers=self.layers[1:], types=self.types[1:])


def choose_layers(
    where: str, layers: list[SafeGroup], num_layers: int | None, skip_layers: int
) -> Choice:
    """Select layers of a file in the same way as lava-dl's netx.

    Parameters
    ----------
    where : str
        Name of the file in errors.
    layers : list of SafeGroup
        All layers.
    num_layers : int or None
        Number of layers from the start, including skipped ones; None or a larger number than
        there are selects all.
    skip_layers : int
        Number of these layers to skip at the start; a negative number skips none.

    Raises
    ------
    NetworkFileError
        If no layer remains.
    """
    end = len(layers) if num_layers is None else min(len(layers), num_layers)
    start = max(skip_layers, 0)
    if end < 1 or start >= end:
        request = f"num_layers={num_layers}, skip_layers={skip_layers}"
        raise NetworkFileError(
            where,
            f"{request}: no layer is left of {len(layers)}",
            f"num_layers from 1 to {len(layers)}, skip_layers below it",
            "leave num_layers and skip_layers (commands: --num-layers, --skip-layers) out to read "
            "all layers",
        )
    for layer in layers[start:end]:
        if "type" not in layer.names():
            raise NetworkFileError(layer.where, "no member 'type'", "a layer with its type")
    types = tuple(layer.text("type") for layer in layers[start:end])
    return Choice(tuple(layers[start:end]), types, tuple(layers[:start]))


def entry_shape(choice: Choice, given: Shape | None, *, own: bool = False) -> Shape:
    """Return the shape of one input frame of the first layer.

    A file defines it through the weights of a dense layer, the shape of the previous layer, or the
    channels and output shape of a convolution if only one input shape is consistent with them.

    Parameters
    ----------
    choice : Choice
        The layers, without an input layer that has a shape.
    given : tuple of int or None
        Shape from the user.
    own : bool
        Whether sdt-lava wrote the file.

    Raises
    ------
    NetworkFileError
        If neither the file nor the user defines the shape, or they contradict each other.
    """
    sides = _said_sides(choice, own)
    file_shape = tuple(side[0] for side in sides) if all(len(side) == 1 for side in sides) else ()
    if given is None:
        if file_shape:
            return file_shape
        raise _unsaid(choice, sides)
    if file_shape and prod(file_shape) != prod(given):
        raise NetworkFileError(
            choice.layers[0].where if choice.layers else "the first layer",
            f"an input of shape {file_shape}, where the argument input_shape says {tuple(given)}",
            "one of both",
            "leave input_shape (commands: --input-shape) out",
        )
    return tuple(given)


def _said_sides(choice: Choice, own: bool) -> tuple[Sequence[int], ...]:
    """Return the possible lengths of each side according to the file; empty if it defines none."""
    for position, (layer, layer_type) in enumerate(zip(choice.layers, choice.types, strict=True)):
        previous = choice.skipped[-1] if choice.skipped and not position else None
        if layer_type in _DENSE:
            return _dense_sides(layer)
        if previous is not None and "shape" in previous.names():
            shape = frame_shape(read_vector(previous, "shape", own=own))
            return tuple((side,) for side in shape)
        if layer_type == "flatten":
            if "shape" in layer.names():
                return ((prod(read_vector(layer, "shape", own=own)),),)
            continue
        return _conv_sides(layer) if layer_type == "conv" else ()
    return ()


def _dense_sides(layer: SafeGroup) -> tuple[Sequence[int], ...]:
    if "weight" not in layer.names() or layer.is_group("weight"):
        return ()
    shape = layer.shape("weight")
    if len(shape) > 1:
        return ((shape[1],),)
    outputs = prod(read_vector(layer, "shape", own=False)) if "shape" in layer.names() else 0
    return ((shape[0] // outputs,),) if outputs > 0 and shape else ()


def _conv_sides(layer: SafeGroup) -> tuple[Sequence[int], ...]:
    """Return the channels, and the heights and widths that fit the output of a convolution."""
    if not {"weight", "shape"} <= set(layer.names()):
        return ()
    weight, shape = layer.shape("weight"), frame_shape(read_vector(layer, "shape", own=False))
    if len(weight) < 4 or len(shape) != 3:
        return ()
    groups = read_number(layer, "groups", own=False) if "groups" in layer.names() else 1
    sides: list[Sequence[int]] = [(weight[1] * groups,)]
    windows = {"stride": 1, "padding": 0, "dilation": 1}
    for axis in (0, 1):
        stride, padding, dilation = (
            _window(layer, name, default)[axis] for name, default in windows.items()
        )
        if stride < 1:
            return ()
        smallest = (shape[1 + axis] - 1) * stride + dilation * (weight[2 + axis] - 1) + 1
        smallest -= 2 * padding
        sides.append(range(max(1, smallest), max(1, smallest + stride)))
    return tuple(sides)


def _window(layer: SafeGroup, name: str, usual: int) -> tuple[int, int]:
    if name not in layer.names():
        return usual, usual
    numbers = read_vector(layer, name, own=False)
    return (numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _unsaid(choice: Choice, sides: tuple[Sequence[int], ...]) -> NetworkFileError:
    where = choice.layers[0].where if choice.layers else "the file"
    kind = choice.types[0] if choice.types else "input"
    if sides and all(sides):
        ranges = ", ".join(_range(side) for side in sides)
        example = ",".join(str(side[-1]) for side in sides)
        return NetworkFileError(
            where,
            f"a layer of type {kind!r} where the network starts, which reads an image of "
            f"({ranges}): its output leaves a choice",
            "a shape of the input",
            f"give load_network the argument input_shape=({example.replace(',', ', ')}), or "
            f"another of these (commands: --input-shape {example})",
        )
    return NetworkFileError(
        where,
        f"a layer of type {kind!r} where the network starts, and no member that says the shape of "
        "what it reads",
        "a layer of type 'input' with a shape",
        "give load_network the argument input_shape=(C, H, W) or (features,) "
        "(commands: --input-shape C,H,W)",
    )


def _range(side: Sequence[int]) -> str:
    return str(side[0]) if len(side) == 1 else f"{side[0]} to {side[-1]}"
