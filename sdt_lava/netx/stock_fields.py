"""Reading the members of a stock layer: whole numbers, whether they are stored as floats or not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_lava.errors import GraphError, NetworkFileError
from sdt_lava.graph import Node, Shape
from sdt_lava.netx.extended import read_texts
from sdt_lava.netx.guard import SafeGroup
from sdt_lava.netx.schema import RANK_LIMIT

_SCALAR_SHAPES = ((), (1,))


@dataclass(frozen=True)
class StockLayer:
    """A layer of a file in the stock layout.

    Parameters
    ----------
    group : SafeGroup
        Its members.
    name : str
        What it is called if the file does not say so.
    earlier : tuple of Node
        The nodes before it, of which it reads the last.
    own : bool
        Whether sdt-lava wrote it: SLAYER stores integers as floats and knows no names.
    last : bool
        Whether no layer follows.
    """

    group: SafeGroup
    name: str
    earlier: tuple[Node, ...]
    own: bool
    last: bool

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
        expect_members(self.group, required, optional)

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
        values = self.integers(member)
        if values.ndim > 1 or values.size > RANK_LIMIT:
            raise NetworkFileError(self.group.at(member), f"shape {values.shape}", "a few numbers")
        return tuple(np.atleast_1d(values).tolist())

    def pair(self, member: str) -> tuple[int, int]:
        """Return a member with a number for height and width, or one for both."""
        sides = self.vector(member)
        if len(sides) not in (1, 2):
            raise NetworkFileError(self.group.at(member), f"{len(sides)} numbers", "1 or 2")
        return sides[0], sides[-1]

    def agree(self, member: str, expected: object) -> None:
        """Check a member that says again what others say; stock netx does not read it."""
        if self.has(member) and (found := self.vector(member)) != expected:
            allowed = f"{expected}, as the weights say"
            raise NetworkFileError(self.group.at(member), f"{found}", allowed)


def expect_members(group: SafeGroup, required: set[str], optional: set[str]) -> None:
    """Check the names of the members."""
    group.expect(required, optional)


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
    values, where = group.numbers(member, "iu" if own else "iuf"), group.at(member)
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
    if values.shape not in _SCALAR_SHAPES:
        raise NetworkFileError(group.at(member), f"shape {values.shape}", "one value")
    return int(values.reshape(()))


def read_per_channel(group: SafeGroup, member: str, *, own: bool) -> int | np.ndarray:
    """Read one number for all channels, or one for each."""
    values = read_integers(group, member, own=own)
    if values.shape in _SCALAR_SHAPES:
        return int(values.reshape(()))
    if values.ndim > 1:
        found, allowed = f"shape {values.shape}", "one value, or one for each output channel"
        raise NetworkFileError(group.at(member), found, allowed)
    return values
