"""Where a stock network starts: which layers are read, and the shape of what the first reads."""

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
        Those that are read.
    types : tuple of str
        Their types.
    skipped : tuple of SafeGroup
        Those before them.
    """

    layers: tuple[SafeGroup, ...]
    types: tuple[str, ...]
    skipped: tuple[SafeGroup, ...] = ()

    def index(self, position: int) -> int:
        """Return the place in the file of one of the layers that are read."""
        return len(self.skipped) + position

    def without_first(self) -> Choice:
        """Return the choice without its first layer, which says nothing of shapes."""
        return replace(self, layers=self.layers[1:], types=self.types[1:])


def choose_layers(
    where: str, layers: list[SafeGroup], num_layers: int | None, skip_layers: int
) -> Choice:
    """Take some of a file's layers, as lava-dl's netx does.

    Parameters
    ----------
    where : str
        The file, for errors.
    layers : list of SafeGroup
        All layers.
    num_layers : int or None
        How many there are from the start, those skipped included; more than there are is all.
    skip_layers : int
        How many of these are left out at the start; a negative number skips none.

    Raises
    ------
    NetworkFileError
        If nothing is left.
    """
    end = len(layers) if num_layers is None else min(len(layers), num_layers)
    start = max(skip_layers, 0)
    if end < 1 or start >= end:
        asked = f"num_layers={num_layers}, skip_layers={skip_layers}"
        raise NetworkFileError(
            where,
            f"{asked}: no layer is left of {len(layers)}",
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
    """Return the shape of one frame of what the first layer reads.

    A file says it in the weights of a dense layer, in the shape of the layer before, or in the
    channels and the output of a convolution that leave no choice.

    Parameters
    ----------
    choice : Choice
        The layers, without an input layer that has a shape.
    given : tuple of int or None
        What the user says.
    own : bool
        Whether sdt-lava wrote the file.

    Raises
    ------
    NetworkFileError
        If the file does not say it and the user does not either, or both say different things.
    """
    sides = _said_sides(choice, own)
    said = tuple(side[0] for side in sides) if all(len(side) == 1 for side in sides) else ()
    if given is None:
        if said:
            return said
        raise _unsaid(choice, sides)
    if said and prod(said) != prod(given):
        raise NetworkFileError(
            choice.layers[0].where if choice.layers else "the first layer",
            f"an input of shape {said}, where the argument input_shape says {tuple(given)}",
            "one of both",
            "leave input_shape (commands: --input-shape) out",
        )
    return tuple(given)


def _said_sides(choice: Choice, own: bool) -> tuple[Sequence[int], ...]:
    """Return the possible lengths of each side, as far as the file tells; empty if it does not."""
    for position, (layer, layer_type) in enumerate(zip(choice.layers, choice.types, strict=True)):
        before = choice.skipped[-1] if choice.skipped and not position else None
        if layer_type in _DENSE:
            return _dense_sides(layer)
        if before is not None and "shape" in before.names():
            shape = frame_shape(read_vector(before, "shape", own=own))
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
    """Return the channels, and the heights and widths that a convolution's output allows."""
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
            _window(layer, name, usual)[axis] for name, usual in windows.items()
        )
        if stride < 1:
            return ()
        least = (shape[1 + axis] - 1) * stride + dilation * (weight[2 + axis] - 1) + 1
        least -= 2 * padding
        sides.append(range(max(1, least), max(1, least + stride)))
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
        known = ", ".join(_range(side) for side in sides)
        example = ",".join(str(side[-1]) for side in sides)
        return NetworkFileError(
            where,
            f"a layer of type {kind!r} where the network starts, which reads an image of "
            f"({known}): its output leaves a choice",
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
