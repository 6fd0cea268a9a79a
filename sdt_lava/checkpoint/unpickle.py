"""A reader for the pickle inside a torch archive that can build tensors and nothing else.

``torch.load`` is not used on files from outside. Without ``weights_only`` it runs whatever code
the file names; with it, torch 2.3 still believes the sizes written in the pickle, and a tensor
that claims to be longer than its data is read from whatever memory follows. Here every opcode,
every name and every size is checked against a short list.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from sdt_lava.checkpoint.numpy_scalar import ScalarType, encoded, scalar, scalar_type

# What torch.save writes for containers, numbers, text and tensors: with protocol 2, its default,
# and with the later ones that `pickle_protocol` may ask for.
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

ReadRecord = Callable[[str], bytes]
InertClasses = Mapping[tuple[str, str], type]


@dataclass(frozen=True)
class _Symbol:
    """What a name in the pickle stands for: never the object of that name itself."""

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
        Returns the bytes of the storage with a given key.
    inert : mapping, optional
        More classes that may occur, by module and name: plain attribute bags that take no
        constructor arguments, such as ``argparse.Namespace``.

    Notes
    -----
    ``load`` raises nearly any exception on a malformed pickle; the caller turns them into one.
    """

    # Attributes of the base class, which is the interpreter's pure-Python unpickler.
    stack: list[Any]
    append: Callable[[Any], None]

    def __init__(
        self, data: bytes, read_record: ReadRecord, inert: InertClasses | None = None
    ) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._read_record = read_record
        self._inert = dict(inert or {})
        self._storages: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> _Symbol:
        """Return the stand-in for a listed name."""
        full = f"{module}.{name}"
        if module == "torch" and name in _STORAGE_DTYPES:
            return _Symbol(full, dtype=_STORAGE_DTYPES[name])
        if (module, name) in _CALLS:
            return _Symbol(full, call=_CALLS[module, name])
        if (module, name) in self._inert:
            return _Symbol(full, inert=self._inert[module, name])
        raise pickle.UnpicklingError(
            f"it asks for {full[:80]!r}, which is not a tensor or a number"
        )

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """Return a storage as flat tensor, after checking its length against the archive."""
        kind, symbol, key, _location, length = pid
        if kind != "storage" or not isinstance(symbol, _Symbol) or symbol.dtype is None:
            raise pickle.UnpicklingError("a reference that is not a tensor storage")
        _require_text(key)
        _require_count(length)
        if (key, symbol.dtype) not in self._storages:
            record = self._read_record(key)
            self._storages[key, symbol.dtype] = _flat_tensor(record, symbol.dtype, length, key)
        storage = self._storages[key, symbol.dtype]
        if len(storage) != length:
            raise pickle.UnpicklingError(f"storage {key[:20]!r} occurs with two lengths")
        return storage

    def _load_reduce(self) -> None:
        args = self.stack.pop()
        symbol = self.stack[-1]
        if not isinstance(symbol, _Symbol) or symbol.call is None or not isinstance(args, tuple):
            raise pickle.UnpicklingError("a call of something that may not be called")
        self.stack[-1] = symbol.call(*args)

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
            return  # the ``_metadata`` attribute of a state dict: not needed
        if type(target) not in self._inert.values() or type(state) is not dict:
            raise pickle.UnpicklingError("attributes for an object that may not have any")
        vars(target).update({_require_text(key): value for key, value in state.items()})

    def _load_setitem(self) -> None:
        _require_key(self.stack[-2])
        super().load_setitem()  # type: ignore[misc]

    def _load_setitems(self) -> None:
        for key in self.stack[::2]:
            _require_key(key)
        super().load_setitems()  # type: ignore[misc]

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **{opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES},
        pickle.REDUCE[0]: _load_reduce,
        pickle.NEWOBJ[0]: _load_new,
        pickle.BUILD[0]: _load_build,
        pickle.SETITEM[0]: _load_setitem,
        pickle.SETITEMS[0]: _load_setitems,
    }


def _require_text(value: object) -> str:
    if type(value) is not str:
        raise pickle.UnpicklingError("a name that is not text")
    return value


def _require_key(value: object) -> None:
    # A nested tuple can take for ever to hash.
    if type(value) not in (str, int):
        raise pickle.UnpicklingError("a key that is neither text nor an integer")


def _require_count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise pickle.UnpicklingError("a size that is not a natural number")
    return value


def _empty_ordered_dict(*arguments: Any) -> OrderedDict[Any, Any]:
    if arguments:
        raise pickle.UnpicklingError("an OrderedDict with arguments")
    return OrderedDict()


def _flat_tensor(record: bytes, dtype: torch.dtype, length: int, key: str) -> torch.Tensor:
    if len(record) != length * dtype.itemsize:
        raise pickle.UnpicklingError(
            f"storage {key[:20]!r} should have {length} numbers of {dtype.itemsize} bytes and has "
            f"{len(record)} bytes"
        )
    if not record:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(record), dtype=dtype)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> torch.Tensor:
    """Return a view of a storage that is proven to lie inside it."""
    if not isinstance(storage, torch.Tensor) or not isinstance(size, tuple):
        raise pickle.UnpicklingError("a tensor without storage or size")
    if not isinstance(stride, tuple) or len(size) != len(stride) or len(size) > _MAX_DIMENSIONS:
        raise pickle.UnpicklingError("a tensor whose size and stride do not match")
    count, last = 1, _require_count(offset)
    for extent, step in zip(size, stride, strict=True):
        count *= _require_count(extent)
        last += max(extent - 1, 0) * _require_count(step)
    # A stride of 0 would let a few bytes stand for a tensor of any size.
    if count > len(storage) or (count and last >= len(storage)):
        raise pickle.UnpicklingError(f"a tensor of size {size} that reaches beyond its storage")
    return storage.as_strided(size, stride, offset) if count else storage.new_empty(size)


def _rebuild_parameter(data: Any, *_rest: Any) -> torch.Tensor:
    if not isinstance(data, torch.Tensor):
        raise pickle.UnpicklingError("a parameter without tensor")
    return data


# What a pickle may call, and what is called in its place.
_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): _empty_ordered_dict,
    ("numpy.core.multiarray", "scalar"): scalar,
    # The same since NumPy 2.
    ("numpy._core.multiarray", "scalar"): scalar,
    ("numpy", "dtype"): scalar_type,
    ("_codecs", "encode"): encoded,
}
