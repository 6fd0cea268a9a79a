"""Packages that only an extra of the package installs."""

from __future__ import annotations

from importlib import import_module

from sdt_lava.errors import ConfigError


def require(package: str, extra: str) -> None:
    """Check that a package can be imported.

    Parameters
    ----------
    package : str
        Its name.
    extra : str
        The extra of sdt-lava that installs it.

    Raises
    ------
    ConfigError
        If it is not installed, or does not fit the packages that it is installed beside.
    """
    try:
        import_module(package)
    # torchvision of another torch ends with a RuntimeError.
    except (ImportError, RuntimeError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        found = "not installed" if missing else f"cannot be imported: {str(error)[:200]}"
        raise ConfigError(package, found, remedy=f"pip install 'sdt-lava[{extra}]'") from error
