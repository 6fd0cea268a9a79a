"""Reading the members of a stock layer: whole numbers, whether they are stored as floats or not.

Files of others are read generously: a number may stand in an array of one, a vector may have axes
of one, and a member that nobody reads may say anything.
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
# Numbers of a member that is not used, up to which it is compared with the one that is.
_SAID_LIMIT = 2**16


@dataclass(frozen=True)
class StockLayer:
    """A layer of a file in the stock layout.

    Parameters
    ----------
    group : SafeGroup
        Its members.
    index : int
        Its place in the file.
    earlier : tuple of Node
        The nodes before it, of which it reads the last.
    own : bool
        Whether sdt-lava wrote it: SLAYER stores integers as floats and knows no names.
    last : bool
        Whether no layer follows.
    notes : Notes
        Where it is noted what is not used.
    """

    group: SafeGroup
    index: int
    earlier: tuple[Node, ...]
    own: bool
    last: bool
    notes: Notes = field(default_factory=Notes)

    @property
    def name(self) -> str:
        """What its neurons are called if the file does not say so."""
        return f"layer.{self.index}"

    @property
    def without_it(self) -> str:
        """How to read the layers before this one, for errors; empty if there are none."""
        return first_layers(self.index) if self.earlier[1:] else ""

    @property
    def up_to_it(self) -> str:
        """How to read the layers up to this one, for errors."""
        return first_layers(self.index + 1)

    @property
    def before(self) -> tuple[str, ...]:
        """The name of the node that it reads; none for the first layer."""
        return tuple(node.name for node in self.earlier[-1:])

    @property
    def source_shape(self) -> Shape:
        """The shape of what it reads."""
        shape: Shape = ()
        try:
            for node in self.earlier:
                shape = node.output_shape([shape])
        except GraphError as error:
            where = f"{self.group.where}: {error.where}"
            raise NetworkFileError(where, error.found, error.allowed, error.remedy) from error
        return shape

    def has(self, member: str) -> bool:
        """Tell whether there is a member of that name."""
        return member in self.group.names()

    def expect(self, required: set[str], optional: set[str]) -> None:
        """Check the names of the members."""
        expect_members(self.group, required, optional, self)

    def texts(self, fallback: str, more: Collection[str] = (), spare: Collection[str] = ()) -> Any:
        """Return name, block and origin: from attributes in our own files."""
        return texts_of(self.group, fallback, own=self.own, more=more, spare=spare)

    def integers(self, member: str) -> np.ndarray:
        """Return a member's whole numbers as int32."""
        return read_integers(self.group, member, own=self.own)

    def number(self, member: str) -> int:
        """Return a member that is one number."""
        return read_number(self.group, member, own=self.own)

    def vector(self, member: str) -> tuple[int, ...]:
        """Return a member of a few numbers."""
        return read_vector(self.group, member, own=self.own)

    def shape(self) -> Shape:
        """Return the shape that the layer declares, without batch axis."""
        return self.vector("shape") if self.own else frame_shape(self.vector("shape"))

    def pair(self, member: str, neutral: int | None = None) -> tuple[int, int]:
        """Return a member with a number for height and width, or one for both.

        Parameters
        ----------
        member : str
            Its name.
        neutral : int, optional
            What a third number, for time, may be, and what the member is if it is missing.
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
        """Compare a member that says again what the weights say; stock netx does not read it."""
        if not self.has(member):
            return
        if self.own:
            found = self.vector(member)
            if found != expected:
                allowed = f"{expected}, as the weights say"
                raise NetworkFileError(self.group.at(member), f"{found}", allowed)
            return
        told = said(self.group, member)
        # One number may stand for several equal ones.
        if told is None or (told != expected and set(told) != set(expected)):
            says = "is no whole number" if told is None else f"says {shortly(told)}"
            text = f"{member} {says}, the weights {shortly(expected)}: the weights are used"
            self.notes.add(self.group.where, text)


def first_layers(count: int) -> str:
    """Return the remedy for a file whose first layers can be read, but not all."""
    return f"read the first layers alone: num_layers={count} (commands: --num-layers {count})"


def expect_members(
    group: SafeGroup, required: set[str], optional: set[str], layer: StockLayer
) -> None:
    """Check the names of the members; those of files of others may have more, which are noted."""
    if layer.own:
        group.expect(required, optional)
        return
    present = group.names()
    group.expect(required, present)
    layer.notes.unused(group.where, present, required | optional)


def texts_of(
    group: SafeGroup,
    fallback: str,
    *,
    own: bool,
    more: Collection[str] = (),
    spare: Collection[str] = (),
) -> Any:
    """Return name, block and origin: from attributes in our own files, which may have others."""
    if not own:
        return {"name": fallback}
    group.expect_attributes({"name", *more}, {"block", "origin", *spare})
    return read_texts(group)


def read_integers(group: SafeGroup, member: str, *, own: bool) -> np.ndarray:
    """Read whole numbers, whether stored as integers or, in files of others, as floats."""
    values, where = group.numbers(member, "iu" if own else "iufb"), group.at(member)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = np.isfinite(values).all() and (np.rint(values) == values).all()
        if not whole:
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
    """Read one number."""
    values = read_integers(group, member, own=own)
    if values.shape not in _SCALAR_SHAPES and (own or values.size != 1):
        raise NetworkFileError(group.at(member), f"shape {values.shape}", "one value")
    return int(values.reshape(()))


def read_vector(group: SafeGroup, member: str, *, own: bool) -> tuple[int, ...]:
    """Read a few numbers; in files of others, axes of one do not matter."""
    values = read_integers(group, member, own=own)
    flat = values.reshape(-1) if _is_row(values) and not own else np.atleast_1d(values)
    if flat.ndim > 1 or flat.size > RANK_LIMIT:
        raise NetworkFileError(group.at(member), f"shape {values.shape}", "a few numbers")
    return tuple(flat.tolist())


def read_per_channel(group: SafeGroup, member: str, *, own: bool) -> int | np.ndarray:
    """Read one number for all channels, or one for each."""
    values = read_integers(group, member, own=own)
    if values.size and not own and (values == values.flat[0]).all():
        return int(values.flat[0])
    if values.shape in _SCALAR_SHAPES:
        return int(values.reshape(()))
    if _is_row(values) and not own:
        return values.reshape(-1)
    if values.ndim > 1:
        found, allowed = f"shape {values.shape}", "one value, or one for each output channel"
        raise NetworkFileError(group.at(member), found, allowed)
    return values


def said(group: SafeGroup, member: str) -> tuple[int, ...] | None:
    """Return the numbers of a member that is not used, None if they are none or cannot be read."""
    try:
        if prod(group.shape(member)) > _SAID_LIMIT:
            return None
        return tuple(read_integers(group, member, own=False).reshape(-1).tolist())
    except NetworkFileError:
        return None


def frame_shape(sides: tuple[int, ...]) -> Shape:
    """Return a shape without an axis of one sample in front, or of one step at the end."""
    while len(sides) > 3 and sides[0] == 1:
        sides = sides[1:]
    while len(sides) > 3 and sides[-1] == 1:
        sides = sides[:-1]
    return sides[1:] if len(sides) == 2 and sides[0] == 1 else sides


def _is_row(values: np.ndarray) -> bool:
    """Whether at most one axis has more than one entry."""
    return sum(side != 1 for side in values.shape) <= 1


def shortly(numbers: tuple[int, ...]) -> str:
    """Return one number for several equal ones, and the first of many."""
    if len(set(numbers)) == 1:
        return str(numbers[0])
    return str(numbers) if len(numbers) <= RANK_LIMIT else f"({numbers[0]}, {numbers[1]}, ...)"
