"""Where in a checkpoint the weights are: scripts call them by many names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sdt_lava.errors import CheckpointError
from sdt_lava.families.tensors import listed

# By precedence. The first is the authors'; then torchvision's and others' scripts, DeepSpeed.
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
    """One set of weights of a file.

    Parameters
    ----------
    name : str
        Its entry, such as 'state_dict' or 'ema.module', or 'file' if the file is nothing else.
    state : object
        What stands there.
    notes : tuple of str
        Which other sets the file has.
    """

    name: str
    state: Any
    notes: tuple[str, ...] = ()


def find_weights(content: Mapping[Any, Any], where: str, *, ema: bool) -> Weights | None:
    """Return the weights of a checkpoint, or None if nothing looks like them.

    Parameters
    ----------
    content : mapping
        What the file holds.
    where : str
        The file, for messages.
    ema : bool
        Take the moving average.

    Raises
    ------
    CheckpointError
        If there are weights, but not those that were asked for.
    """
    ordinary = list(_states(content, _ORDINARY))
    averaged = list(_states(content, _AVERAGED))
    if not ordinary and not averaged and _is_state(content):
        ordinary = [("file", content)]
    wanted, others = (averaged, ordinary) if ema else (ordinary, averaged)
    if wanted:
        name, state = wanted[0]
        return Weights(name, state, tuple(_notes(name, wanted[1:], others, ema=ema)))
    if not others:
        # The authors' entry without tensors: what is wrong with it is said later.
        key = "state_dict_ema" if ema else "state_dict"
        if key in content:
            return Weights(key, content[key])
        if not ema:
            return None
    found = [name for name, _ in others]
    raise CheckpointError(
        where,
        f"no {'state_dict_ema' if ema else 'state_dict'}",
        f"a checkpoint with {'a moving average' if ema else 'ordinary weights'}; this one has "
        f"{found or 'none that is known'}",
        "import the ordinary weights, without --ema" if ema else "pass --ema",
    )


def look_like_weights(content: Mapping[Any, Any]) -> list[str]:
    """Return the entries of a checkpoint, at any depth, that hold tensors by name."""
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
    """Yield the state dicts under some names, or under any, and where they are."""
    if not isinstance(content, dict) or depth >= _DEEPEST:
        return
    # An average may be inside of an ordinary name, and the other way round.
    through = _ORDINARY if names is not None else ()
    for key in names if names is not None else list(content):
        value = content.get(key)
        if not isinstance(key, str) or not isinstance(value, dict):
            continue
        if _is_state(value):
            yield key, value
            continue
        inner = dict.fromkeys((*(names or ()), *through)) if names is not None else None
        for name, state in _states(value, None if inner is None else tuple(inner), depth + 1):
            yield f"{key}.{name}", state


def _is_state(value: Any) -> bool:
    """Tell whether a dict names matrices or kernels: optimizers have numbers as names."""
    return isinstance(value, dict) and any(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) and tensor.ndim > 1
        for name, tensor in value.items()
    )
