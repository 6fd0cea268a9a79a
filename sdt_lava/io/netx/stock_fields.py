"""Read the members of a stock layer: integers, which may be stored as floats.

Files from other programs are read leniently: a number may be stored as a 1-element array, a vector
may have axes of length 1, and an unused member may have any value.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from sdt_lava.errors import GraphError, NetworkFileError
from sdt_lava.io.netx.extended import read_texts
from sdt_lava.io.netx.guard import SafeGroup
from sdt_lava.io.netx.notes import Notes
from sdt_lava.io.netx.schema import RANK_LIMIT
from sdt_lava.ir import Node, Shape

_SCALAR_SHAPES = ((), (1,))
# Maximum size of an unused member that is compared with the member used instead.
_SAID_LIMIT = 2**16


@dataclass(frozen=True)
class StockLayer:
    """A layer of a file in the stock layout.

    Parameters
    ----------
    group : SafeGroup
        Members of the layer.
    index : int
        Index of the layer in the file.
    earlier : tuple of Node
        The nodes before it; it reads the last of them.
    own : bool
        Whether sdt-lava wrote the layer. SLAYER stores integers as floats and has no names.
    last : bool
        Whether no layer follows.
    notes : Notes
        Collects notes on unused members.
    """

    group: SafeGroup
    index: int
    earlier: tuple[Node, ...]
    own: bool
    last: bool
    notes: Notes = field(default_factory=Notes)

    @property
    def name(self) -> str:
        """Name of the layer's neurons if the file has none."""
        return f"layer.{self.index}"

    @property
    def without_it(self) -> str:
        """Remedy that reads only the layers before this one; empty if there are none."""
        return first_layers(self.index) if self.earlier[1:] else ""

    @property
    def up_to_it(self) -> str:
        """Remedy that reads only the layers up to and including this one."""
        return first_layers(self.index + 1)

    @property
    def before(self) -> tuple[str, ...]:
        """Name of the node that the layer reads; empty for the first layer."""
        return tuple(node.name for node in self.earlier[-1:])

    @property
    def source_shape(self) -> Shape:
        """Shape of the layer's input."""
        shape: Shape = ()
        try:
            for node in self.earlier:
                shape = node.output_shape([shape])
        except GraphError as error:
            where = f"{self.group.where}: {error.where}"
            raise NetworkFileError(where, error.found, error.allowed, error.remedy) from error
        return shape

    def has(self, member: str) -> bool:
        """Return whether the layer has a member of that name."""
        return member in self.group.names()

    def expect(self, required: set[str], optional: set[str]) -> None:
        """Check the names of the members."""
        expect_members(self.group, required, optional, self)

    def texts(self, fallback: str, more: Collection[str] = (), spare: Collection[str] = ()) -> Any:
        """Return the name, block and origin of the layer, as `texts_of` does."""
        return texts_of(self.group, fallback, own=self.own, more=more, spare=spare)

    def integers(self, member: str) -> np.ndarray:
        """Return the integers of a member as int32."""
        return read_integers(self.group, member, own=self.own)

    def number(self, member: str) -> int:
        """Return a member that is a single integer."""
        return read_number(self.group, member, own=self.own)

    def vector(self, member: str) -> tuple[int, ...]:
        """Return a member that is a short vector of integers."""
        return read_vector(self.group, member, own=self.own)

    def shape(self) -> Shape:
        """Return the declared shape of the layer, without batch axis."""
        return self.vector("shape") if self.own else frame_shape(self.vector("shape"))

    def pair(self, member: str, neutral: int | None = None) -> tuple[int, int]:
        """Return a member with one number each for height and width, or one for both.

        Parameters
        ----------
        member : str
            Name of the member.
        neutral : int, optional
            Permitted value of a third number, for time, and default of a missing member.
        """
        if neutral is not None and not self.has(member):
            self.notes.add(self.group.where, f"no {member}: {neutral}, as SLAYER has by default")
            return neutral, neutral
        sides = self.vector(member)
        if len(sides) == 3 and sides[2] == neutral and not self.own:
            sides = sides[:2]
        if len(sides) not in (1, 2):
            raise NetworkFileError(
                self.group.at(member),
                f"{len(sides)} numbers",
                "1 or 2: the same for height and width, or one for each",
            )
        return sides[0], sides[-1]

    def agree(self, member: str, expected: tuple[int, ...]) -> None:
        """Compare a redundant member, which stock netx does not read, with the weights."""
        if not self.has(member):
            return
        if self.own:
            values = self.vector(member)
            if values != expected:
                allowed = f"{expected}, as the weights say"
                raise NetworkFileError(self.group.at(member), f"{values}", allowed)
            return
        numbers = said(self.group, member)
        # A single number may represent several equal ones.
        if numbers is None or (numbers != expected and set(numbers) != set(expected)):
            statement = "is not a whole number" if numbers is None else f"says {shortly(numbers)}"
            text = f"{member} {statement}, the weights {shortly(expected)}: the weights are used"
            self.notes.add(self.group.where, text)


def first_layers(count: int) -> str:
    """Return the remedy for a file of which only the first layers can be read."""
    return f"read the first layers alone: num_layers={count} (commands: --num-layers {count})"


def expect_members(
    group: SafeGroup, required: set[str], optional: set[str], layer: StockLayer
) -> None:
    """Check the names of the members; unknown members of other programs' files become notes."""
    if layer.own:
        group.expect(required, optional)
        return
    names = group.names()
    group.expect(required, names)
    layer.notes.unused(group.where, names, required | optional)


def texts_of(
    group: SafeGroup,
    fallback: str,
    *,
    own: bool,
    more: Collection[str] = (),
    spare: Collection[str] = (),
) -> Any:
    """Return the name, block and origin: attributes in our own files, `fallback` in others."""
    if not own:
        return {"name": fallback}
    group.expect_attributes({"name", *more}, {"block", "origin", *spare})
    return read_texts(group)


def read_integers(group: SafeGroup, member: str, *, own: bool) -> np.ndarray:
    """Read integers, which other programs may store as floats."""
    values, where = group.numbers(member, "iu" if own else "iufb"), group.at(member)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            are_integers = np.isfinite(values).all() and (np.rint(values) == values).all()
        if not are_integers:
            raise NetworkFileError(
                where,
                "NaN, infinity or fractions",
                "whole numbers",
                "stock netx would cut the fractions off; train with a quantizing pre_hook_fx",
            )
    if np.abs(values.astype(np.float64)).max(initial=0) > np.iinfo(np.int32).max:
        raise NetworkFileError(where, "values beyond 32 bits", "Loihi's integer ranges")
    return values.astype(np.int32)


def read_number(group: SafeGroup, member: str, *, own: bool) -> int:
    """Read a single integer."""
    values = read_integers(group, member, own=own)
    if values.shape not in _SCALAR_SHAPES and (own or values.size != 1):
        raise NetworkFileError(group.at(member), f"shape {values.shape}", "one value")
    return int(values.reshape(()))


def read_vector(group: SafeGroup, member: str, *, own: bool) -> tuple[int, ...]:
    """Read a short vector of integers; in other programs' files, axes of length 1 are ignored."""
    values = read_integers(group, member, own=own)
    flat = values.reshape(-1) if _is_row(values) and not own else np.atleast_1d(values)
    if flat.ndim > 1 or flat.size > RANK_LIMIT:
        raise NetworkFileError(group.at(member), f"shape {values.shape}", "a few numbers")
    return tuple(flat.tolist())


def read_per_channel(group: SafeGroup, member: str, *, own: bool) -> int | np.ndarray:
    """Read one integer for all channels, or one per channel."""
    values = read_integers(group, member, own=own)
    if values.size and not own and (values == values.flat[0]).all():
        return int(values.flat[0])
    if values.shape in _SCALAR_SHAPES:
        return int(values.reshape(()))
    if _is_row(values) and not own:
        return values.reshape(-1)
    if values.ndim > 1:
        problem, allowed = f"shape {values.shape}", "one value, or one for each output channel"
        raise NetworkFileError(group.at(member), problem, allowed)
    return values


def said(group: SafeGroup, member: str) -> tuple[int, ...] | None:
    """Return the integers of an unused member, or None if it has none that can be read."""
    try:
        if prod(group.shape(member)) > _SAID_LIMIT:
            return None
        return tuple(read_integers(group, member, own=False).reshape(-1).tolist())
    except NetworkFileError:
        return None


def frame_shape(sides: tuple[int, ...]) -> Shape:
    """Return a shape without a leading axis of one sample or a trailing axis of one step."""
    while len(sides) > 3 and sides[0] == 1:
        sides = sides[1:]
    while len(sides) > 3 and sides[-1] == 1:
        sides = sides[:-1]
    return sides[1:] if len(sides) == 2 and sides[0] == 1 else sides


def _is_row(values: np.ndarray) -> bool:
    """Return whether at most one axis has a length other than 1."""
    return sum(side != 1 for side in values.shape) <= 1


def shortly(numbers: tuple[int, ...]) -> str:
    """Return a short text for some numbers: one for equal ones, only the first ones of many."""
    if len(set(numbers)) == 1:
        return str(numbers[0])
    return str(numbers) if len(numbers) <= RANK_LIMIT else f"({numbers[0]}, {numbers[1]}, ...)"
