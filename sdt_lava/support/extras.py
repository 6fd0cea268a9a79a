"""Check for optional packages, which extras of sdt-lava install."""

from __future__ import annotations

from importlib import import_module

from sdt_lava.errors import ConfigError


def require(package: str, extra: str) -> None:
    """Check that a package can be imported.

    Parameters
    ----------
    package : str
        Name of the package.
    extra : str
        The extra of sdt-lava that installs it.

    Raises
    ------
    ConfigError
        If the package is not installed, or is incompatible with other installed packages.
    """
    try:
        import_module(package)
    # A torchvision built for another version of torch raises RuntimeError.
    except (ImportError, RuntimeError) as error:
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == package
        problem = "not installed" if is_missing else f"cannot be imported: {str(error)[:200]}"
        raise ConfigError(package, problem, remedy=f"pip install 'sdt-lava[{extra}]'") from error
