"""A process that runs cases: ``python -m tests.attack.worker``.

It reads one case a line and answers each with one line of JSON. A kernel that leaves its arrays
touches a guard, which ends the process; the driver sees it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from importlib import import_module
from typing import Any

# Before torch and NumPy start threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from sdt_lava.errors import NumericOverflowError
from tests.attack.networks import Case, make_case
from tests.attack.ways import Oracle, Way, draw_ways


def _difference(found: dict[str, np.ndarray], expected: Any) -> str:
    """Return what differs, or '' if nothing does."""
    for name, values in found.items():
        wanted = np.asarray(expected[name])
        if values.shape != wanted.shape:
            return f"{name!r} has the shape {values.shape}, not {wanted.shape}"
        if not np.array_equal(values, wanted):
            differ = int(np.count_nonzero(values != wanted))
            return f"{name!r} differs in {differ} of {wanted.size} values"
    return ""


def check(case: Case, way: Way, oracle: Oracle) -> tuple[str, str]:
    """Run a case in one way.

    Returns
    -------
    outcome : str
        'equal', 'overflow' (refused as it should be) or 'refused' (by a lowering).
    finding : str
        What is wrong; '' if nothing is.
    """
    strict, reset = way.options["strict"], way.options.get("reset", True)
    refusal = oracle.refusal(reset=reset) if strict else ""
    try:
        found = way.run(case)
    except NumericOverflowError as error:
        # A run cut in two counts its own steps, and sees all samples of its first part first.
        is_cut = way.options.get("parts", 1) > 1
        if str(error) == refusal or (refusal and is_cut):
            return "overflow", ""
        return "failed", f"refused ({error}), where the reference says: {refusal or 'a result'}"
    if found is None:
        return "refused", ""
    if refusal:
        return "failed", f"gives a result, where the reference says: {refusal}"
    finding = _difference(dict(found), oracle.expected(way))
    return ("failed", finding) if finding else ("equal", "")


def run(number: int) -> dict[str, Any]:
    """Return what came of a case: an outcome for each of its ways, and the first finding."""
    started = time.perf_counter()
    outcome: dict[str, Any] = {"kind": "case", "number": number, "error": "", "message": ""}
    outcome |= {"family": "", "ways": {}, "outcome": "equal"}
    way: Way | None = None
    try:
        case = make_case(number)
        outcome["family"] = case.family
        oracle = Oracle(case)
        for way in draw_ways(case):
            ended, finding = check(case, way, oracle)
            counted = outcome["ways"].setdefault(way.executor, {})
            counted[ended] = counted.get(ended, 0) + 1
            if finding and not outcome["error"]:
                outcome |= {"outcome": "failed", "error": finding, "message": str(way)}
    except Exception as error:
        found = f"{way}\n{traceback.format_exc()[-3000:]}"
        outcome |= {"outcome": "failed", "error": type(error).__name__, "message": found}
    outcome["seconds"] = time.perf_counter() - started
    return outcome


def always_threads() -> None:
    """Let several threads compute however little there is."""
    # The package has a function of the name of a module.
    module: Any = import_module("sdt_lava.engine.engine")
    module._WORTH_THREADS = 0


def main() -> None:
    # Lava prints; answers go where standard output was.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    logging.disable(logging.WARNING)
    always_threads()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(int(line.split()[1]))), file=answers, flush=True)


if __name__ == "__main__":
    main()
