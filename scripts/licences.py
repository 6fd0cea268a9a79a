"""Print the licences of what an installation of sdt-lava brings along, as a table of Markdown.

What the packages say about themselves: `python scripts/licences.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_CLASSIFIER = "License :: "
# Longer fields hold the whole licence.
_MOST = 60


def installed(name: str = "sdt-lava") -> dict[str, Distribution]:
    """Return the distributions that one needs, also for Lava, itself left out, by name."""
    found: dict[str, Distribution] = {}
    left = [*_required(distribution(name)), *_required(distribution(name), "lava")]
    while left:
        needed = left.pop()
        if needed in found:
            continue
        try:
            found[needed] = distribution(needed)
        except PackageNotFoundError:
            continue  # only where other environments need it, or Lava is not installed
        left += _required(found[needed])
    return dict(sorted(found.items()))


def _required(package: Distribution, extra: str = "") -> list[str]:
    requirements = map(Requirement, package.requires or ())
    return [
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    ]


def licence(package: Distribution) -> str:
    """Return what a package says about its licence: expression, short field or classifiers."""
    metadata = package.metadata
    for field in ("License-Expression", "License"):
        text = " ".join((metadata.get(field) or "").split())
        if text and text != "UNKNOWN" and len(text) <= _MOST:
            return text
    stated = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or ()
        if text.startswith(_CLASSIFIER)
    ]
    return ", ".join(stated) or "see the package's own files"


def table(packages: Iterable[tuple[str, Distribution]]) -> str:
    """Return the table."""
    rows = [f"| {name} | {licence(package)} |" for name, package in packages]
    return "\n".join(["| package | licence |", "|---|---|", *rows])


if __name__ == "__main__":
    print(table(installed().items()))
