"""Intercept calls of torch functions and modules while a network runs once.

Traced tensors have shapes but no values: they are on torch's meta device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import repeat
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sdt_lava.errors import TraceError
from sdt_lava.importers.tracing import (
    linear_operations,
    reductions,
    shape_operations,
    spike_operations,
)
from sdt_lava.importers.tracing.axes import COPIES, size_of
from sdt_lava.importers.tracing.builder import described
from sdt_lava.importers.tracing.calls import CONVERSIONS, HANDLERS, Call, operation_name
from sdt_lava.importers.tracing.context import Context
from sdt_lava.importers.tracing.firing import Population, Run
from sdt_lava.importers.tracing.neurons import is_neuron
from sdt_lava.importers.tracing.patching import method_replaced
from sdt_lava.importers.tracing.places import place, place_of
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Meaningless, Origin, Symbol, Traced
from sdt_lava.support.forks import ForkSafeLock

# Modules that register handlers of operations.
OPERATIONS = (linear_operations, reductions, shape_operations, spike_operations)

# Queries of a tensor whose results do not depend on its values.
_QUESTIONS = frozenset(
    (
        *("size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "len"),
        *("is_contiguous", "is_floating_point", "is_complex", "is_signed", "is_same_size"),
        *("element_size", "get_device", "hash", "repr", "format"),
    )
)
# Functions that create tensors from the shape of another tensor.
_LIKE = frozenset(
    f"{kind}_{content}"
    for kinds, contents in (
        (("zeros", "ones", "empty", "full"), ("like",)),
        (("new",), ("zeros", "ones", "empty", "full", "tensor")),
    )
    for kind in kinds
    for content in contents
)
_MOVES = frozenset(("to", "cuda", "cpu", "type"))
_CONVERSIONS = frozenset((*CONVERSIONS, "item", "tolist", "numpy"))
# Methods with which libraries reset the state of neurons.
RESETS = ("reset", "reset_mem")
# Tracing modifies modules temporarily, so only one run is allowed at a time.
_watching = ForkSafeLock()
_WHERE = "what the tracer knows: see docs/your-model.md"


class StandIn(Tensor):
    """Tensor of a traced run, with a shape and type but no values.

    The subclass is necessary because torch does not always call a mode: indexing with one integer,
    for example, calls only the tensor's method.
    """

    tracing: Tracing

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Pass a function called on stand-ins to the traced run."""
        first = next(value for value in _flat((args, kwargs or {})) if isinstance(value, cls))
        return first.tracing.__torch_function__(function, types, args, kwargs)


class Tracing(TorchFunctionMode):
    """Mode that records a network's run.

    Parameters
    ----------
    module : nn.Module
        The network.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.context = Context(module)
        self._values: dict[int, tuple[Tensor, Traced]] = {}
        self._thread = get_ident()

    def track(self, tensor: Tensor, traced: Traced) -> StandIn:
        """Return a stand-in tensor for a traced value."""
        with torch._C.DisableTorchFunction():
            stand_in = tensor if isinstance(tensor, StandIn) else tensor.as_subclass(StandIn)
            stand_in.tracing = self
            self._values[id(stand_in)] = stand_in, replace(traced, version=stand_in._version)
            return stand_in

    def traced(self, value: Any) -> Traced | None:
        """Return the traced value of a tensor; None if the tensor does not depend on the input."""
        entry = self._values.get(id(value)) if isinstance(value, Tensor) else None
        if entry is None:
            return None
        tensor, traced = entry
        with torch._C.DisableTorchFunction():
            version = tensor._version
        if version != traced.version:
            error = self.error(
                "a tensor that was changed in place through another one", "", "out-of-place code"
            )
            return replace(traced, symbol=Meaningless(traced.symbol.shape, error))
        return traced

    def error(self, found: str, allowed: str = "", remedy: str = "") -> TraceError:
        """Return an error with the module and the line."""
        return self._error_in(self.context.path[-1], place(), found, allowed, remedy)

    def error_raised(self, error: Exception) -> TraceError:
        """Return an error with the location at which the network's code raised an exception."""
        return self._error_in(
            self.context.failed or "",
            place_of(error),
            f"raised {type(error).__name__} while it was traced: {error}",
            "a network that runs on the example, and on any batch size",
        )

    def _error_in(
        self, path: str, line: str, found: str, allowed: str = "", remedy: str = ""
    ) -> TraceError:
        kind = type(self.context.modules[path]).__name__
        where = f"module {path!r} ({kind})" if path else f"the network ({kind})"
        return TraceError(f"{where}, {line}" if line else where, found, allowed, remedy)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run a function and determine the traced value of its result."""
        with torch._C.DisableTorchFunction():
            return self._called(function, args, kwargs or {})

    def _called(self, function: Any, args: Any, kwargs: Any) -> Any:
        tensors = [value for value in _flat((args, kwargs)) if isinstance(value, Tensor)]
        # Look up the arguments before the call, because operations in place change them.
        traced_by_id = {id(value): self.traced(value) for value in tensors}
        traced_inputs = [traced for traced in traced_by_id.values() if traced is not None]
        name = operation_name(function)
        if not traced_inputs:
            result = function(*args, **kwargs)
            self._derive(result, tensors)
            return result
        if name == "device":
            return torch.device("cpu")
        if name in _LIKE:
            return function(*_mapped(args, _empty), **_mapped(kwargs, _empty))
        result = self._run(function, name, args, kwargs)
        if not any(isinstance(value, Tensor) for value in _flat(result)):
            return self._answer(function, name, result)
        must_mean = "out" in kwargs or (_writes(function) and traced_by_id.get(id(args[0])) is None)

        def origin(operation: str, uses: Any = None) -> Origin:
            return self.context.origin(operation, tensors if uses is None else uses)

        builder = self.context.builder
        call = Call(
            name,
            args,
            kwargs,
            result,
            builder,
            lambda v: traced_by_id.get(id(v)),
            origin,
            self.context,
        )
        return self._follow(call, traced_inputs, must_mean)

    def _derive(self, result: Any, given: list[Tensor]) -> None:
        names = self.context.names_of(given)
        if names:
            for tensor in _flat(result):
                if isinstance(tensor, Tensor):
                    self.context.derive(tensor, names)

    def _run(self, function: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Run a function on shapes only."""
        if name in _MOVES:
            return _converted(args, kwargs)
        if function is Tensor.detach_:
            return args[0]
        if name in _CONVERSIONS:
            raise self._values_needed(name)
        try:
            return function(*_mapped(args, _meta), **_mapped(kwargs, _meta))
        except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
            raise self.error(
                f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
                "operations on tensors whose values are not known yet",
                "let nothing but shapes decide what the network does",
            ) from error

    def _answer(self, function: Any, name: str, result: Any) -> Any:
        is_property = getattr(function, "__name__", "") == "__get__"
        if is_property or name in _QUESTIONS or (result is None and name == "backward"):
            return result
        raise self._values_needed(name)

    def _values_needed(self, name: str) -> TraceError:
        return self.error(
            f"{name} of values that depend on the input",
            "operations whose result is a tensor",
            "let nothing but shapes decide what the network does",
        )

    def _follow(self, call: Call, found: list[Traced], must_mean: bool) -> Any:
        """Determine the traced value of a result.

        An operation without a meaning raises an error only if the network's result depends on it.
        If `must_mean` is set, it raises immediately, because its result is written where this
        dependence cannot be detected.
        """
        meaningless = [traced for traced in found if isinstance(traced.symbol, Meaningless)]
        if must_mean:
            raise self._hidden_write(call, meaningless)
        try:
            if meaningless:
                values: Any = meaningless[0]
            elif call.name in HANDLERS:
                values = _understood(call)
            else:
                raise NoMeaning(f"operation {call.name} on {described(found[0].symbol)}", _WHERE)
        except NoMeaning as refusal:
            error = self.error(refusal.found, refusal.allowed, refusal.remedy)
            values = Traced(Meaningless(found[0].symbol.shape, error), ())
        each = iter(values) if isinstance(values, list) else repeat(values)
        return _mapped(call.result, lambda tensor: self.track(tensor, next(each)))

    def _hidden_write(self, call: Call, meaningless: list[Traced]) -> TraceError:
        for traced in meaningless:
            assert isinstance(traced.symbol, Meaningless)
            return traced.symbol.error
        return self.error(
            f"{call.name} into a tensor that does not come from the network's input",
            "operations that return a new tensor",
            "a = a + b in place of a += b, or torch.stack",
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record calls of all modules and replace neurons temporarily."""
        with _watching.held(), self._forwards_replaced():
            yield

    @contextmanager
    def _forwards_replaced(self) -> Iterator[None]:
        with ExitStack() as stack:
            for path, module in self.context.modules.items():
                if isinstance(module, torch.jit.ScriptModule):
                    continue
                population = None
                if is_neuron(module):
                    run = Run(self.context, self.traced, self.track, self.error)
                    population = Population(path, module, run)
                    stack.callback(population.restore)
                    for name in RESETS:
                        if callable(getattr(module, name, None)):
                            reset = self._watched_reset(getattr(module, name), population)
                            stack.enter_context(method_replaced(module, name, reset))
                forward = self._watched(path, module.forward, population)
                stack.enter_context(method_replaced(module, "forward", forward))
            yield

    def _watched_reset(
        self, reset: Callable[..., Any], population: Population
    ) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if get_ident() == self._thread:
                population.note_reset()
            return reset(*args, **kwargs)

        return watched

    def _watched(
        self, path: str, forward: Callable[..., Any], population: Population | None
    ) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if get_ident() != self._thread:
                # Another thread uses the network.
                return forward(*args, **kwargs)
            self.context.path.append(path)
            self.context.called[path] += 1
            try:
                if population is not None:
                    return population(*args, **kwargs)
                return forward(*args, **kwargs)
            except Exception:
                if self.context.failed is None:
                    self.context.failed = path
                raise
            finally:
                self.context.path.pop()

        return watched


def _converted(args: Any, kwargs: Any) -> Tensor:
    """Return a tensor converted to another type; devices are ignored."""
    subject, *others = args
    given = (*others, *kwargs.values())
    types = [value for value in given if isinstance(value, torch.dtype)]
    types += [value.dtype for value in given if isinstance(value, Tensor)]
    flags = [value for value in others if isinstance(value, bool)]
    converted: Tensor = subject.to(types[0]) if types else subject
    is_copy = kwargs.get("copy", flags[1] if len(flags) > 1 else False)
    return converted.clone() if is_copy and converted is subject else converted


def _understood(call: Call) -> Any:
    """Return the traced values of the results of a call."""
    try:
        values = HANDLERS[call.name](call)
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise NoMeaning(f"operation {call.name} with unusual arguments: {error}") from error
    return _checked(values, call.result)


def _checked(values: Any, result: Any) -> Any:
    """Return traced values after checking that they have the shapes of the results."""
    tensors = [value for value in _flat(result) if isinstance(value, Tensor)]
    stands = values if isinstance(values, list) else [values] * len(tensors)
    for traced, tensor in zip(stands, tensors, strict=True):
        factors = [f for axis in traced.layout for f in axis if f.size > 1 and f.root != COPIES]
        if tuple(map(size_of, traced.layout)) != tuple(tensor.shape):
            raise NoMeaning(f"a result of shape {tuple(tensor.shape)} that cannot be followed")
        if len({(factor.root, factor.stride) for factor in factors}) < len(factors):
            raise NoMeaning("a result that has the same axis twice")
    return values


def _writes(function: Any) -> bool:
    """Return whether a function writes into its first argument without returning it."""
    name = getattr(function, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.startswith("__"))


def _flat(values: Any) -> list[Any]:
    """Return all values in nested tuples, lists and mappings."""
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (tuple, list)):
        return [inner for value in values for inner in _flat(value)]
    return [values]


def _mapped(values: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to all tensors in nested tuples, lists and mappings."""
    if isinstance(values, dict):
        return {name: _mapped(value, change) for name, value in values.items()}
    if isinstance(values, (tuple, list)):
        mapped = [_mapped(value, change) for value in values]
        return type(values)(*mapped) if hasattr(values, "_fields") else type(values)(mapped)
    return change(values) if isinstance(values, Tensor) else values


def _meta(tensor: Tensor) -> Tensor:
    return tensor if tensor.device.type == "meta" else tensor.to("meta")


def _empty(tensor: Tensor) -> Tensor:
    is_meta = tensor.device.type == "meta"
    return torch.empty(tensor.shape, dtype=tensor.dtype) if is_meta else tensor


def symbol_of(traced: Traced) -> Symbol:
    """Return a symbol, or raise its error if it has no meaning."""
    if isinstance(traced.symbol, Meaningless):
        raise traced.symbol.error
    return traced.symbol
