"""Quantize a trained model and write an HDF5 network file: the same as ``sdt-export``."""

from sdt_lava.cli import main_export

if __name__ == "__main__":
    main_export()
