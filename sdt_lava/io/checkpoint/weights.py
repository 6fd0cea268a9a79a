"""Find the weights in a checkpoint, which training scripts store under many names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sdt_lava.errors import CheckpointError
from sdt_lava.support.text import listed

# In order of precedence: first the authors' name, then those of torchvision, other scripts and
# DeepSpeed.
_ORDINARY = (
    "state_dict", "model", "model_state_dict", "net", "network", "module", "net_state_dict",
    "model_state", "weights", "params", "parameters", "student", "backbone",
)  # fmt: skip
_AVERAGED = (
    "state_dict_ema", "model_ema", "ema", "ema_state_dict", "ema_model", "model_ema_state_dict",
    "ema_model_state_dict", "ema_state", "params_ema", "averaged_model", "swa_model", "shadow",
)  # fmt: skip
_DEEPEST = 3


@dataclass(frozen=True)
class Weights:
    """A set of weights in a file.

    Parameters
    ----------
    name : str
        Path of the entry, such as 'state_dict' or 'ema.module', or 'file' for the whole file.
    state : object
        Value of the entry.
    notes : tuple of str
        Notes on other sets of weights in the file.
    """

    name: str
    state: Any
    notes: tuple[str, ...] = ()


def find_weights(content: Mapping[Any, Any], where: str, *, ema: bool) -> Weights | None:
    """Return the weights of a checkpoint, or None if nothing looks like weights.

    Parameters
    ----------
    content : mapping
        Content of the file.
    where : str
        Name of the file in errors.
    ema : bool
        Return the moving average instead of the ordinary weights.

    Raises
    ------
    CheckpointError
        If there are weights, but not of the requested kind.
    """
    ordinary = list(_states(content, _ORDINARY))
    averages = list(_states(content, _AVERAGED))
    if not ordinary and not averages and _is_state(content):
        ordinary = [("file", content)]
    candidates, others = (averages, ordinary) if ema else (ordinary, averages)
    if candidates:
        name, state = candidates[0]
        return Weights(name, state, tuple(_notes(name, candidates[1:], others, ema=ema)))
    if not others:
        # The authors' entry exists but has no tensors: the caller reports what is wrong with it.
        key = "state_dict_ema" if ema else "state_dict"
        if key in content:
            return Weights(key, content[key])
        if not ema:
            return None
    available = [name for name, _ in others]
    raise CheckpointError(
        where,
        f"no {'state_dict_ema' if ema else 'state_dict'}",
        f"a checkpoint with {'a moving average' if ema else 'ordinary weights'}; this one has "
        f"{available or 'none that is known'}",
        "import the ordinary weights, without --ema" if ema else "pass --ema",
    )


def look_like_weights(content: Mapping[Any, Any]) -> list[str]:
    """Return the paths of the entries of a checkpoint, at any depth, that map names to tensors."""
    return [name for name, _ in _states(content, None) if name]


def _notes(
    name: str, same: list[tuple[str, Any]], others: list[tuple[str, Any]], *, ema: bool
) -> Iterator[str]:
    if others and ema:
        yield f"{name} is a moving average; the file has ordinary weights, too ({others[0][0]})"
    elif others:
        yield (
            f"the file has a moving average of the weights, too ({others[0][0]}): --ema "
            "(in Python: ema=True) takes that one"
        )
    if same:
        yield f"other weights in the file, not read: {listed([other for other, _ in same])}"


def _states(
    content: Any, names: tuple[str, ...] | None, depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Yield the paths and the state dicts of entries with some names, or any name if None."""
    if not isinstance(content, dict) or depth >= _DEEPEST:
        return
    # An average may be nested inside an ordinary entry, and vice versa.
    more_names = _ORDINARY if names is not None else ()
    for key in names if names is not None else list(content):
        value = content.get(key)
        if not isinstance(key, str) or not isinstance(value, dict):
            continue
        if _is_state(value):
            yield key, value
            continue
        inner_names = dict.fromkeys((*(names or ()), *more_names)) if names is not None else None
        for name, state in _states(
            value, None if inner_names is None else tuple(inner_names), depth + 1
        ):
            yield f"{key}.{name}", state


def _is_state(value: Any) -> bool:
    """Return whether a dict maps names to matrices or kernels; optimizers use integers as keys."""
    return isinstance(value, dict) and any(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) and tensor.ndim > 1
        for name, tensor in value.items()
    )
