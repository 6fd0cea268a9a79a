"""Import the public names of a package when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sdt_lava._moved import moved_name


def lazy(package: str, names: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a package that imports names and submodules on demand.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    names : mapping of str to str, optional
        Public names and the modules that define them: ``"module"``, relative to the package or as
        a full name that starts with ``sdt_lava.``, or ``"module:attribute"`` if the name differs
        there.
    """

    def resolve(name: str) -> Any:
        module, _, attribute = (names or {}).get(name, "").partition(":")
        if module:
            full_name = module if module.startswith("sdt_lava.") else f"{package}.{module}"
            return getattr(import_module(full_name), attribute or name)
        path = f"{package}.{name}"
        if name.startswith("_") or find_spec(path) is None:
            return moved_name(package, name)
        return import_module(path)

    return resolve
