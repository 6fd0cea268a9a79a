"""``python -m sdt_lava`` is ``sdt-lava``."""

from sdt_lava.cli import main

if __name__ == "__main__":
    main()
