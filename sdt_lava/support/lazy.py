"""Names of a package that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy(package: str, names: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, which also finds its submodules.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    names : mapping of str to str, optional
        Public names and where they are defined, as ``"module"`` below the package (or with its
        full name, from ``sdt_lava.`` on), or as ``"module:attribute"`` where they have another
        name there.
    """

    def resolve(name: str) -> Any:
        module, _, attribute = (names or {}).get(name, "").partition(":")
        if module:
            full = module if module.startswith("sdt_lava.") else f"{package}.{module}"
            return getattr(import_module(full), attribute or name)
        path = f"{package}.{name}"
        if name.startswith("_") or find_spec(path) is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return import_module(path)

    return resolve
