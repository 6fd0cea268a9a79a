"""Fill the tables of ``docs/reliability.md`` from ``benchmarks/results/*.json``.

    python -m benchmarks.reliability

Each block between ``<!-- NAME.json -->`` and ``<!-- end -->`` holds what the function of that name
makes of the file's content. Nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.common import REPOSITORY, RESULTS
from benchmarks.pages import filled, table

PAGE = REPOSITORY / "docs" / "reliability.md"


def fuzz(content: Mapping[str, Any]) -> str:
    """Return the figures of the fuzzer, by kind of file."""
    counts = ("tried", "refused", "loaded", "crashes", "hangs")
    rows = [
        [
            f"`{row['kind']}`" if row["kind"] != "all" else "**all**",
            *(f"{row[count]:,}" for count in counts),
            f"{row['longest_s']:.2f}",
            f"{row['largest_mib']:.0f}",
        ]
        for row in content["kinds"]
    ]
    text = table(["kind", *counts, "longest [s]", "memory [MiB]"], rows)
    machine = content["machine"]
    return (
        f"{text}\n{content['command']}, {content['machine']['date']}, {machine['cores']} cores "
        f"({machine['cpu']}), {content['seconds']:.0f} s.\n"
    )


def attack(content: Mapping[str, Any]) -> str:
    """Return the figures of the random networks, by family."""
    executors = list(content["families"][-1]["ways"])
    counts = ("findings", "died", "hung")
    rows = [
        [
            f"`{row['family']}`" if row["family"] != "all" else "**all**",
            f"{row['networks']:,}",
            *(f"{row['ways'].get(executor, 0):,}" for executor in executors),
            *(f"{row[count]:,}" for count in counts),
            f"{row['longest_s']:.1f}",
        ]
        for row in content["families"]
    ]
    text = table(["family", "networks", *executors, *counts, "longest [s]"], rows)
    outcomes = content["families"][-1]["outcomes"]
    counted = ", ".join(f"{name} {number:,}" for name, number in outcomes.items())
    machine = content["machine"]
    return (
        f"{text}\nRuns: {counted}. {content['command']}, {machine['date']}, "
        f"{machine['cores']} cores ({machine['cpu']}), {content['seconds']:,} s.\n"
    )


def faults(content: Mapping[str, Any]) -> str:
    """Return the figures of the faults, by kind."""
    counts = ("tried", "crashes", "hangs", "left_overs")
    rows = [
        [
            row["kind"],
            *(row[count] for count in counts),
            ", ".join(f"{code} ({number})" for code, number in row["codes"].items()),
            f"{row['longest_s']:.1f}",
        ]
        for row in content["kinds"]
    ]
    totals = [sum(row[count] for row in content["kinds"]) for count in counts]
    longest = max(row["longest_s"] for row in content["kinds"])
    rows.append(["**all**", *totals, "", f"{longest:.1f}"])
    text = table(
        ["fault", "tried", "crashes", "hangs", "leftovers", "exit codes", "longest [s]"], rows
    )
    return (
        f"{text}\n{len(content['failures'])} of {totals[0]} cases failed. "
        f"{_run(content)}, {content['seconds']} s.\n"
    )


def soak(content: Mapping[str, Any]) -> str:
    """Return the figures of the streams, and of the networks built and stopped."""
    text = ""
    if "streams" in content:
        streams = content["streams"]
        rows = [
            [
                f"`{row['backend']}`",
                f"{row['seconds']:,.0f}",
                f"{row['steps']:,}",
                f"{row['steps'] * row['values_per_step']:,}",
                row["differing"],
                f"{row['memory_mib']:,.0f}",
                f"{row['growth_kib']:,}",
                " ".join("-".join(map(str, row[name])) for name in _FLAT),
            ]
            for row in streams["results"]
        ]
        header = ["back end", "seconds", "steps", "values compared", "differing", "memory [MiB]"]
        text += table([*header, "growth [KiB]", ", ".join(_FLAT)], rows)
        text += f"\n{_run(streams)}.\n"
    if "cycles" in content:
        row = content["cycles"]["results"]
        flat = "did not change" if row["footprint_is_flat"] else "changed"
        text += (
            f"\n{row['cycles']} networks built, run, checked and stopped in one interpreter in "
            f"{row['seconds']:,.0f} s: memory {row['memory_mib']:,.0f} MiB, which grew by "
            f"{row['growth_kib']:,} KiB from the second to the last third (slope "
            f"{row['slope_kib_per_minute']:,} KiB per minute); threads, log handlers, files "
            f"and Lava's registered processes and variables {flat}. {_run(content['cycles'])}.\n"
        )
    return text


def resume(content: Mapping[str, Any]) -> str:
    """Return what became of evaluations that were killed and spread."""
    rows = [
        [
            row["data"],
            f"{row['samples']:,}",
            ", ".join(f"{number:,}" for number in row["stored_at_kills"]),
            "the same" if row["resumed_is_same"] else "**different**",
            f"{row['done_when_a_worker_was_killed']:,}",
            "the same" if row["spread_is_same"] else "**different**",
            f"`{row['sha256'][:16]}`",
        ]
        for row in content["rows"]
    ]
    header = ["data", "samples", "stored when killed", "files after resuming"]
    more = [
        f"done when one of {content['rows'][0]['workers']} workers was killed",
        "files then",
        "SHA-256",
    ]
    return f"{table([*header, *more], rows)}\n{_run(content)}.\n"


_FLAT = ("processes", "threads", "files", "handlers")


def _run(content: Mapping[str, Any]) -> str:
    machine = content["machine"]
    return f"`{content['command']}`, {machine['date']}, {machine['cores']} cores ({machine['cpu']})"


# Block of the page and name of the file in `benchmarks/results`: what is made of it.
BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "fuzz.json": fuzz,
    "attack.json": attack,
    "faults.json": faults,
    "soak.json": soak,
    "resume.json": resume,
}


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, make in BLOCKS.items():
        path = RESULTS / name
        if path.exists():
            page = filled(page, name, make(json.loads(path.read_text(encoding="utf-8"))))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
