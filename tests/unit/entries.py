"""Count what is kept: all collections that can be reached from some objects."""

from collections import deque
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

_NOT_DATA = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType)


def entries(*roots: object) -> int:
    """Return how many entries all collections have that can be reached from these objects."""
    seen: set[int] = set()
    found, ahead = 0, list(roots)
    while ahead:
        each = ahead.pop()
        if id(each) in seen or isinstance(each, _NOT_DATA):
            continue
        seen.add(id(each))
        if isinstance(each, Mapping):
            found += len(each)
            ahead += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple, set, frozenset, deque)):
            found += len(each)
            ahead += each
        else:
            ahead += _fields(each)
    return found


def _fields(each: object) -> Iterator[Any]:
    yield from getattr(each, "__dict__", {}).values()
    for kind in type(each).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(each, name, None)
