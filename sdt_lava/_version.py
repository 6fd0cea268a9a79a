"""The version: of the library, of its commands and of the package."""

__version__ = "0.2.0"
