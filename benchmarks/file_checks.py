"""What a file of another program says, and whether it runs as that program would run it.

Every check adds to a row: ``said`` are sentences for the page, ``shares`` the share of equal spikes
by population, ``equal`` whether all that has to be equal bit for bit is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sdt_lava
from sdt_lava.errors import CheckpointError, NumericOverflowError, SdtLavaError
from sdt_lava.io.netx import load_network
from sdt_lava.ir import Graph, Signal, SpikingNeurons
from sdt_lava.ir.work import multiplications

Row = dict[str, Any]
Save = Callable[[], None]
# Steps of one sample where the file does not say them: NIR's, lava-dl's, and frames of messages.
NIR_STEPS, NETX_STEPS, MESSAGE_STEPS = 100, 8, 4
_SAMPLES = 2
_RATE = 0.3
_SEED = 0
# Multiplications of one run in Lava's Python models: some minutes.
_MOST_LAVA = 10**9
# Limit of one sample in stock netx [s], and the width of payloads that enter there.
_STOCK_SECONDS = 600.0
_MESSAGE_BITS = 16
# How often the values of the input are halved until no membrane leaves its register.
_MOST_HALVES = 8
_LFS = b"version https://git-lfs"
# A remedy that proposes options.
_OPTION = re.compile(r"--(dt|timesteps) ([0-9.e+-]*[0-9])")
_MOST_REMEDIES = 3
SUFFIXES = (".net", ".h5", ".hdf5", ".nir", ".pt", ".pth", ".pth.tar", ".safetensors")


def check_file(path: Path, row: Row, save: Save) -> None:
    """Load a file, run what is in it, and fill its row.

    Parameters
    ----------
    path : Path
        The file.
    row : dict
        Gets ``outcome`` ('equal', 'rounded', 'loads', 'different', 'refused' or 'absent'),
        ``said`` and what was measured.
    save : callable
        Keeps what the row has so far, should the process be stopped.
    """
    with path.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            row |= {"outcome": "absent", "said": ["a Git LFS pointer without its content"]}
            return
    check = next(check for suffix, check in _CHECKS.items() if path.name.endswith(suffix))
    try:
        check(path, row, save)
    except SdtLavaError as error:
        row |= {"outcome": "refused", "said": [_short(error, path)]}


def _short(error: SdtLavaError, path: Path) -> str:
    where = error.where.replace(str(path), "").strip(" :'\"")
    return f"{where}: {error.found}" if where else error.found


def _check_network(path: Path, row: Row, save: Save) -> None:
    net = load_network(path)
    if net.message_names:
        net = replace(net, timesteps=MESSAGE_STEPS)
    elif net.timesteps == 1:
        net = load_network(path, timesteps=NETX_STEPS)
    row |= {"outcome": "loads", "said": [], "steps": net.timesteps, "shares": {}}
    frames = _fitting(net, random_frames(net), row)
    save()
    result = _check_ours(net, frames, row, save)
    _say_result(net, result, row)
    if path.suffix in (".net", ".h5", ".hdf5"):
        _check_stock(path, net, frames, result, row)
        save()
    if net.message_names:
        _check_slayer(path, frames, row)
    _conclude(row)


def _check_nir(path: Path, row: Row, save: Save) -> None:
    from sdt_lava.nir import to_nir
    from tests.importers.nir.euler import run_nir

    source, net, report, options = _load_nir(path)
    frames = random_frames(net)
    row |= {"outcome": "loads", "said": [], "steps": len(frames), "shares": {}}
    if options:
        row["said"].append(f"with {options}")
    save()
    result = _check_ours(net, frames, row, save)
    exact = run_nir(to_nir(net, report.dt), frames, report.dt)
    row["shares"]["Euler, rounded numbers"] = _shares(result.spikes, exact)
    save()
    try:
        expected = run_nir(source, _as_the_file(source, frames), report.dt)
    except KeyError as error:
        row["said"].append(f"not integrated: edges name {error}, which is no node of the file")
    else:
        row["shares"]["Euler"] = _shares(result.spikes, expected)
        if result.is_membrane:
            row["said"].append(_membrane_error(net, report, result, expected[net.output_name]))
    row["shares"] = {name: shares for name, shares in row["shares"].items() if shares}
    _conclude(row)


def _membrane_error(net: Graph, report: Any, result: Any, expected: NDArray[np.float64]) -> str:
    scale = next(row.scale for row in report.quantization.neurons if row.name == net.output_name)
    end = expected[-1].reshape(result.logits.shape)
    error = np.abs(result.logits / scale - end).max() / np.abs(end).max()
    return f"membranes within {error:.1%} of the largest"


def _as_the_file(source: Any, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return frames in the axes that the file's first layer reads."""
    import nir

    rows = any(isinstance(node, nir.Conv1d) for node in source.nodes.values())
    return frames[:, :, :, 0] if rows and frames.ndim == 5 and frames.shape[3] == 1 else frames


def _load_nir(path: Path) -> tuple[Any, Graph, Any, str]:
    """Read a file, with the options that errors propose."""
    from sdt_lava.io.nir.reader import read_nir
    from sdt_lava.nir import NirOptions, from_nir

    source = read_nir(path)
    options = NirOptions(timesteps=NIR_STEPS)
    given = ""
    for _ in range(_MOST_REMEDIES):
        try:
            net, report = from_nir(source, options)
            return source, net, report, given
        except SdtLavaError as error:
            proposed = dict(_OPTION.findall(error.remedy))
            if not proposed:
                raise
            values = {"dt": float, "timesteps": int}
            new = replace(options, **{k: values[k](v) for k, v in proposed.items()})
            if new == options:
                raise
            options = new
            given = " ".join(f"`--{key} {value}`" for key, value in proposed.items())
    net, report = from_nir(source, options)
    return source, net, report, given


def _check_checkpoint(path: Path, row: Row, save: Save) -> None:
    model = _load_checkpoint(path)
    row |= {"outcome": "loads", "said": [], "shares": {}}
    save()
    with TemporaryDirectory() as folder:
        exported = Path(folder) / "net.h5"
        sdt_lava.export(model, exported)
        net = load_network(exported)
    frames = random_frames(net)
    row["steps"] = len(frames)
    _check_ours(net, frames, row, save)
    _conclude(row)


def _load_checkpoint(path: Path) -> Any:
    """Read a checkpoint; one without a configuration says with any of them what network it is."""
    from sdt_lava.families import load_with_report
    from sdt_lava.families.sdt1.presets import PRESETS

    try:
        return load_with_report(path, None)[0]
    except SdtLavaError as error:
        if "--config" not in error.remedy:
            raise
        preset = next(iter(PRESETS))
        try:
            return load_with_report(path, preset)[0]
        except SdtLavaError as second:
            others = second.found.partition("unexpected tensors ")[2].split(", ")[:3]
            if others == [""]:
                raise error from None
            found = f"another network, with {', '.join(others)}"
            raise CheckpointError(second.where, found) from None


def random_frames(net: Graph) -> NDArray[np.int64]:
    """Return integer input ``(T, B, *shape)``: spikes, or values that change slowly."""
    entry, rng = net.input, np.random.default_rng(_SEED)
    shape = (net.timesteps, _SAMPLES, *entry.shape)
    if (entry.low, entry.high) == (0, 1):
        return (rng.random(shape) < _RATE).astype(np.int64)
    if not net.message_names:
        one = rng.integers(entry.low, entry.high + 1, (1, *shape[1:]))
        return np.broadcast_to(one, shape).copy()
    steps = rng.integers(-8, 9, shape)
    steps[0] = rng.integers(0, 65, shape[1:])
    return np.clip(steps.cumsum(axis=0) // entry.step * entry.step, entry.low, entry.high)


def _fitting(net: Graph, frames: NDArray[np.int64], row: Row) -> NDArray[np.int64]:
    """Return input of which no membrane leaves its register."""
    for halves in range(_MOST_HALVES):
        part = frames >> halves
        try:
            sdt_lava.simulate(net, as_data(net, part), "engine")
        except NumericOverflowError as error:
            why = error
            continue
        if halves:
            row["said"].append(f"with input up to {part.max()}: membranes leave 24 bits beyond")
        return part
    raise why


def as_data(net: Graph, frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what the input turns into these integers, ``(B, T, *shape)``."""
    return ((frames - net.input.offset) / net.input.scale).swapaxes(0, 1)


def _check_ours(net: Graph, frames: NDArray[np.int64], row: Row, save: Save) -> Any:
    """Compare the ways to run a network here."""
    x = as_data(net, frames)
    result = sdt_lava.simulate(net, x, "engine")
    backends = ["reference"]
    if multiplications(net, net.nodes) * len(frames) * _SAMPLES <= _MOST_LAVA:
        backends.append("lava-inprocess")
    row["same"] = []
    for backend in backends:
        other = sdt_lava.simulate(net, x, backend)
        equal = np.array_equal(other.logits, result.logits) and all(
            np.array_equal(other.sent[name], sent) for name, sent in result.sent.items()
        )
        row["same"].append([backend, bool(equal)])
        save()
    rates = [float((sent != 0).mean()) for sent in result.sent.values()]
    row["rates"] = [round(rate, 4) for rate in rates]
    return result


def _say_result(net: Graph, result: Any, row: Row) -> None:
    if result.outputs is not None:
        last = result.outputs[-1, 0].ravel()
        row["said"].append(f"its output after the last frame is {last[0]:.6f}")
    elif result.is_membrane:
        row["said"].append(f"its output is the membrane of {net.output_name}")


def _check_stock(path: Path, net: Graph, frames: NDArray[np.int64], result: Any, row: Row) -> None:
    """Compare with lava-dl's own netx in Lava, if it loads the file."""
    try:
        stock = _stock(path, net, frames)
    except Exception as error:  # whatever the other program raises
        text = str(error).splitlines()[0][:60] if str(error) else ""
        row["said"].append(f"stock netx does not run it ({type(error).__name__}: {text})")
        return
    if len(stock) != len(result.sent):
        row["said"].append(f"stock netx has {len(stock)} layers of neurons")
    pairs = zip(stock, result.sent.values(), strict=False)
    same = [np.array_equal(theirs.reshape(ours.shape), ours) for theirs, ours in pairs]
    row["same"].append([f"stock netx in Lava, {sum(same)} of {len(same)} layers", all(same)])


def _stock(path: Path, net: Graph, frames: NDArray[np.int64]) -> list[NDArray[Any]]:
    from tests.io.netx import stock_lava

    session: dict[str, Any] = {"executor": "in-process", "timeout": _STOCK_SECONDS}
    if net.message_names:
        samples = range(frames.shape[1])
        runs = [stock_lava.run_stock_messages(path, frames[:, b], **session) for b in samples]
        return [np.concatenate(parts, axis=1) for parts in zip(*runs, strict=True)]
    if isinstance(net.nodes[net.consumers[net.input.name][0]], SpikingNeurons):
        # The neurons of an input layer have the image as their bias.
        return stock_lava.run_stock_images(path, frames[0], len(frames), **session)
    bits = 0 if net.signals[net.input.name] is Signal.SPIKE else _MESSAGE_BITS
    return stock_lava.run_stock_apart(path, frames, bits, **session)


def _check_slayer(path: Path, frames: NDArray[np.int64], row: Row) -> None:
    """Compare with SLAYER's forward pass, which has no steps before the first frame."""
    from benchmarks.slayer_messages import slayer_messages

    net = load_network(path, lead_in=False)
    x = as_data(net, frames)
    ours = sdt_lava.simulate(net, x, "engine")
    try:
        theirs = slayer_messages(path, x)
    except ValueError as error:
        row["said"].append(f"not run in SLAYER: {error}")
        return
    same = [np.array_equal(a, b) for a, b in zip(theirs, ours.messages.values(), strict=True)]
    row["same"].append([f"SLAYER, {sum(same)} of {len(same)} layers", all(same)])


def _shares(
    spikes: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]
) -> dict[str, float]:
    """Return the share of equal spikes of the populations that both have, if any is alive."""
    found = {}
    for name, ours in spikes.items():
        theirs = expected.get(name)
        if theirs is not None and not name.endswith(".always") and _fires(theirs):
            found[name] = float((theirs.reshape(ours.shape) == ours).mean())
    return found


def _fires(values: NDArray[Any]) -> bool:
    return bool(values.any() and np.isin(values, (0, 1)).all())


def _conclude(row: Row) -> None:
    shares = row["shares"].get("Euler", {}).values()
    if not all(equal for _, equal in row["same"]):
        row["outcome"] = "different"
    elif any(share < 1 for share in shares):
        row["outcome"] = "rounded"
    elif len(row["same"]) > 2 or shares:
        row["outcome"] = "equal"


_CHECKS: Mapping[str, Callable[[Path, Row, Save], None]] = {
    **dict.fromkeys((".net", ".h5", ".hdf5"), _check_network),
    ".nir": _check_nir,
    **dict.fromkeys((".pt", ".pth", ".pth.tar", ".safetensors"), _check_checkpoint),
}
