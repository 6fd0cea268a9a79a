"""Read the pickle in a torch archive; only plain containers, numbers, text and tensors are built.

``torch.load`` is not used for untrusted files. Without ``weights_only``, it executes any code that
the file names. With it, torch 2.3 still trusts the sizes in the pickle: a tensor that claims to be
longer than its data reads past the end of the buffer. Here, every opcode and every name must be on
a short list, and every size is checked.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from sdt_lava.io.checkpoint.numpy_scalar import ScalarType, encoded, scalar, scalar_type
from sdt_lava.io.limits import limits, remedy

# Opcodes that torch.save writes for containers, numbers, text and tensors, with protocol 2 (the
# default) and with the later ones that `pickle_protocol` can select.
_OPCODES = (
    pickle.PROTO,
    pickle.STOP,
    pickle.MARK,
    pickle.NONE,
    pickle.NEWTRUE,
    pickle.NEWFALSE,
    pickle.BININT,
    pickle.BININT1,
    pickle.BININT2,
    pickle.LONG1,
    pickle.BINFLOAT,
    pickle.BINUNICODE,
    pickle.EMPTY_DICT,
    pickle.EMPTY_LIST,
    pickle.EMPTY_TUPLE,
    pickle.TUPLE,
    pickle.TUPLE1,
    pickle.TUPLE2,
    pickle.TUPLE3,
    pickle.APPEND,
    pickle.APPENDS,
    pickle.SETITEM,
    pickle.SETITEMS,
    pickle.BINPUT,
    pickle.LONG_BINPUT,
    pickle.BINGET,
    pickle.LONG_BINGET,
    pickle.GLOBAL,
    pickle.BINPERSID,
    pickle.REDUCE,
    pickle.NEWOBJ,
    pickle.BUILD,
    pickle.BINBYTES,
    pickle.SHORT_BINBYTES,
    pickle.SHORT_BINUNICODE,
    pickle.STACK_GLOBAL,
    pickle.MEMOIZE,
    pickle.FRAME,
)
_STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_MAX_DIMENSIONS = 16
# Integer keys of all dicts together. Python randomizes the hashes of text but not of integers, so
# a file can choose integers that all collide. An optimizer's state has one per tensor.
_MAX_INTEGER_KEYS = 16_384
_KEY_LIMIT = 2**63
_MAX_ATTRIBUTES = 65_536  # in all objects together
_MAX_ARGUMENTS = 16
# Tensors may share storages: all tensors together may have this many times as many numbers as are
# stored, plus a free allowance.
_MAX_SHARING = 8
_FREE_NUMBERS = 2**20

ReadRecord = Callable[[str], bytearray]
InertClasses = Mapping[tuple[str, str], type]


@dataclass(frozen=True)
class _Symbol:
    """The stand-in for a name in the pickle; never the object of that name."""

    name: str
    dtype: torch.dtype | None = None
    call: Callable[..., Any] | None = None
    inert: type | None = None


class TensorUnpickler(pickle._Unpickler):
    """Build dicts, lists, tuples, numbers, strings and tensors from an untrusted pickle.

    Parameters
    ----------
    data : bytes
        The pickle.
    read_record : callable
        Returns the bytes of the storage with a given key; the storage uses them without a copy.
    inert : mapping, optional
        Additional permitted classes, by module and name: plain attribute containers whose
        constructors take no arguments, such as ``argparse.Namespace``.

    Notes
    -----
    ``load`` can raise almost any exception on a malformed pickle; the caller converts them to one
    type.
    """

    # Attributes of the base class, which is the interpreter's pure-Python unpickler.
    stack: list[Any]
    metastack: list[list[Any]]
    memo: dict[int, Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(
        self, data: bytes, read_record: ReadRecord, inert: InertClasses | None = None
    ) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._read_record = read_record
        self._inert = dict(inert or {})
        self._storages: dict[str, torch.Tensor] = {}
        self._integer_keys, self._attributes = 0, 0
        self._tensors = 0
        self._numbers = 0  # in all tensors together

    def find_class(self, module: str, name: str) -> _Symbol:
        """Return the stand-in for a permitted name."""
        full_name = f"{module}.{name}"
        if module == "torch" and name in _STORAGE_DTYPES:
            return _Symbol(full_name, dtype=_STORAGE_DTYPES[name])
        if (module, name) in _CALLS:
            return _Symbol(full_name, call=_CALLS[module, name])
        if (module, name) in self._inert:
            return _Symbol(full_name, inert=self._inert[module, name])
        raise pickle.UnpicklingError(
            f"it asks for {full_name[:80]!r}, which is not a tensor or a number"
        )

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """Return a storage as a flat tensor, after checking its length against the archive."""
        kind, symbol, key, _location, length = pid
        if kind != "storage" or not isinstance(symbol, _Symbol) or symbol.dtype is None:
            raise pickle.UnpicklingError("a reference that is not a tensor storage")
        _require_text(key)
        _require_count(length)
        if key not in self._storages:
            record = self._read_record(key)
            self._storages[key] = _flat_tensor(record, symbol.dtype, length, key)
        storage = self._storages[key]
        if len(storage) != length or storage.dtype != symbol.dtype:
            raise pickle.UnpicklingError(f"storage {key[:20]!r} occurs with two lengths or types")
        return storage

    def _load_reduce(self) -> None:
        args = self.stack.pop()
        symbol = self.stack[-1]
        if not isinstance(symbol, _Symbol) or symbol.call is None or not isinstance(args, tuple):
            raise pickle.UnpicklingError("a call of something that may not be called")
        if len(args) > _MAX_ARGUMENTS:
            raise pickle.UnpicklingError(f"a call with {len(args)} arguments")
        result = symbol.call(*args)
        if symbol.call is _rebuild_tensor:
            self._count_tensor(result)
        self.stack[-1] = result

    def _count_tensor(self, tensor: torch.Tensor) -> None:
        """Refuse tensors that together have far more numbers than are stored."""
        self._tensors += 1
        self._numbers += tensor.numel()
        limit = limits().checkpoint_entries
        if self._tensors > limit:
            raise pickle.UnpicklingError(
                f"more than {limit} tensors ({remedy('checkpoint_entries')})"
            )
        stored_numbers = (
            sum(map(len, self._storages.values())) if self._numbers > _FREE_NUMBERS else 0
        )
        if self._numbers > _FREE_NUMBERS + _MAX_SHARING * stored_numbers:
            raise pickle.UnpicklingError(
                f"tensors of {self._numbers} numbers that share {stored_numbers} stored ones"
            )

    def _load_new(self) -> None:
        args = self.stack.pop()
        symbol = self.stack.pop()
        if not isinstance(symbol, _Symbol) or symbol.inert is None or args != ():
            raise pickle.UnpicklingError("an object of a class that is not allowed")
        self.append(symbol.inert())

    def _load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is ScalarType:
            target.restore(state)
            return
        if type(target) is OrderedDict:
            return  # ignore the ``_metadata`` attribute of a state dict
        if type(target) not in self._inert.values() or type(state) is not dict:
            raise pickle.UnpicklingError("attributes for an object that may not have any")
        # The same dict may be used any number of times.
        self._attributes += len(state)
        if self._attributes > _MAX_ATTRIBUTES:
            raise pickle.UnpicklingError(f"more than {_MAX_ATTRIBUTES} attributes of objects")
        vars(target).update({_require_text(key): value for key, value in state.items()})

    def _load_setitem(self) -> None:
        self._check_entries(self.stack[-3], self.stack[-2:-1])
        super().load_setitem()  # type: ignore[misc]

    def _load_setitems(self) -> None:
        self._check_entries(self.metastack[-1][-1], self.stack[::2])
        super().load_setitems()  # type: ignore[misc]

    def _check_entries(self, target: object, keys: list[Any]) -> None:
        if type(target) not in (dict, OrderedDict):
            raise pickle.UnpicklingError("entries for something that is not a dict")
        for key in keys:
            self._integer_keys += _require_key(key)
        if self._integer_keys > _MAX_INTEGER_KEYS:
            raise pickle.UnpicklingError(f"more than {_MAX_INTEGER_KEYS} integers as keys")

    def _load_append(self) -> None:
        _require_list(self.stack[-2])
        super().load_append()  # type: ignore[misc]

    def _load_appends(self) -> None:
        _require_list(self.metastack[-1][-1])
        super().load_appends()  # type: ignore[misc]

    def _load_binput(self) -> None:
        self._put(self.read(1)[0])

    def _load_long_binput(self) -> None:
        self._put(int.from_bytes(self.read(4), "little"))

    def _put(self, number: int) -> None:
        # Every pickler numbers its memo consecutively. Other numbers could be chosen to collide.
        if number > len(self.memo):
            raise pickle.UnpicklingError("a memo whose numbers are not consecutive")
        self.memo[number] = self.stack[-1]

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **{opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES},
        pickle.REDUCE[0]: _load_reduce,
        pickle.NEWOBJ[0]: _load_new,
        pickle.BUILD[0]: _load_build,
        pickle.APPEND[0]: _load_append,
        pickle.APPENDS[0]: _load_appends,
        pickle.BINPUT[0]: _load_binput,
        pickle.LONG_BINPUT[0]: _load_long_binput,
        pickle.SETITEM[0]: _load_setitem,
        pickle.SETITEMS[0]: _load_setitems,
    }


def _require_text(value: object) -> str:
    if type(value) is not str:
        raise pickle.UnpicklingError("a name that is not text")
    return value


def _require_key(value: object) -> bool:
    """Return whether a key is an integer; raise an error unless it is an integer or text."""
    # Other types are refused: hashing a nested tuple can take unlimited time.
    if type(value) is str:
        return False
    if type(value) is int and -_KEY_LIMIT <= value < _KEY_LIMIT:
        return True
    raise pickle.UnpicklingError("a key that is neither text nor an integer of 64 bits")


def _require_list(value: object) -> None:
    if type(value) is not list:
        raise pickle.UnpicklingError("elements for something that is not a list")


def _require_count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise pickle.UnpicklingError("a size that is not a natural number")
    return value


def _empty_ordered_dict(*arguments: Any) -> OrderedDict[Any, Any]:
    if arguments:
        raise pickle.UnpicklingError("an OrderedDict with arguments")
    return OrderedDict()


def _flat_tensor(record: bytearray, dtype: torch.dtype, length: int, key: str) -> torch.Tensor:
    if len(record) != length * dtype.itemsize:
        raise pickle.UnpicklingError(
            f"storage {key[:20]!r} should have {length} numbers of {dtype.itemsize} bytes and has "
            f"{len(record)} bytes"
        )
    if not record:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(record, dtype=dtype)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> torch.Tensor:
    """Return a view of a storage, after checking that it lies inside the storage."""
    if not isinstance(storage, torch.Tensor) or not isinstance(size, tuple):
        raise pickle.UnpicklingError("a tensor without storage or size")
    if not isinstance(stride, tuple) or len(size) != len(stride) or len(size) > _MAX_DIMENSIONS:
        raise pickle.UnpicklingError("a tensor whose size and stride do not match")
    count, last = 1, _require_count(offset)
    for extent, step in zip(size, stride, strict=True):
        count *= _require_count(extent)
        last += max(extent - 1, 0) * _require_count(step)
    # With a stride of 0, a few bytes could represent a tensor of any size.
    if count > len(storage) or (count and last >= len(storage)):
        raise pickle.UnpicklingError(f"a tensor of size {size} that reaches beyond its storage")
    return storage.as_strided(size, stride, offset) if count else storage.new_empty(size)


def _rebuild_parameter(data: Any, *_rest: Any) -> torch.Tensor:
    if not isinstance(data, torch.Tensor):
        raise pickle.UnpicklingError("a parameter without tensor")
    return data


# Functions that a pickle may call, and the functions that are called instead.
_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): _empty_ordered_dict,
    ("numpy.core.multiarray", "scalar"): scalar,
    # The same function since NumPy 2.
    ("numpy._core.multiarray", "scalar"): scalar,
    ("numpy", "dtype"): scalar_type,
    ("_codecs", "encode"): encoded,
}
