"""Record what Lava and lava-dl compute: ``python -m tests.record_lava [--out FOLDER]``.

Needs Python 3.10 with lava-nc 0.10.0 and lava-dl 0.6.0, and takes minutes: everything runs in
Lava's own runtime, with its process for each Lava Process. Running it again gives the same
recordings.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from tests.recordings import SUBJECTS, record, seeds
from tests.recordings.store import FOLDER, MANIFEST, save

_PACKAGES = ("lava-nc", "lava-dl", "numpy", "torch", "h5py")


def main(arguments: list[str] | None = None) -> None:
    """Record every subject, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for subject in options.subjects or SUBJECTS:
        cases = record(subject)
        save(options.out, subject, cases)
        sys.stdout.write(f"{subject}: {len(cases)} cases\n")
    manifest = {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "seeds": seeds(),
    }
    (options.out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
