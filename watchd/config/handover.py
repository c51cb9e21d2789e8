"""Settings from checked data, as it comes out of the process that checks the file: the one conversion."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from watchd.config.schema.section import Section, key_of

T = TypeVar("T", bound=Section)


def build(table: type[T], data: Mapping[str, Any]) -> T:
    """Make a table of data with the keys of the file, which JSON may have carried. Raise KeyError, TypeError."""
    types = {key_of(name): (name, type_) for name, type_ in get_type_hints(table).items()}
    values = {}
    for key, value in data.items():
        name, type_ = types[key]
        values[name] = _value(type_, value)
    return table(**values)


def _value(type_: Any, data: Any) -> Any:
    if data is None:
        return None
    origin = get_origin(type_)
    if origin in (Union, UnionType):
        return _value(_chosen([each for each in get_args(type_) if each is not NoneType], data), data)
    if origin is tuple:
        return tuple(_value(get_args(type_)[0], each) for each in data)
    if isinstance(type_, type) and issubclass(type_, Section):
        return build(type_, data)
    return Path(data) if type_ is Path else data


def _chosen(types: list[Any], data: Any) -> Any:
    """Return that type of a union which the data is of: policies tell their kind, lists are tuples."""
    if isinstance(data, Mapping) and len(types) > 1:
        return next(each for each in types if get_args(get_type_hints(each)["kind"]) == (data["kind"],))
    wants_list = isinstance(data, list | tuple)
    return next((each for each in types if (get_origin(each) is tuple) is wants_list), types[0])
