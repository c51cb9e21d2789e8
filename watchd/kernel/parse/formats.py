"""Formats of a cgroup's files, as cgroup-v2.rst names them.

A line that is not understood costs its own values alone: it is passed to `odd`. The default `refuse` raises `Malformed`
instead, and nothing else is ever raised.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

_LONGEST_NUMBER = 20  # digits of 64 bits
_DEVICE_NUMBER = re.compile(rb"[0-9]{1,10}:[0-9]{1,10}")

Odd = Callable[[str], None]
"""Take note of something in a file that is not understood."""

_MOST_LAYOUTS = 64
_layouts: dict[int, tuple[Sequence[bytes], Mapping[bytes, int]]] = {}
"""Of files of that many words, whose lines were all understood: the keys, and the place of each key's number.

A kernel writes the same ones each time. Such a file is read by words, which takes a third of what lines do.
"""

T = TypeVar("T")
Content = TypeVar("Content")


class Malformed(ValueError):
    """A kernel file does not have its documented format."""


def refuse(text: str) -> None:
    """Raise Malformed."""
    raise Malformed(text)


class Reader(dict[str, Content]):
    """The content of files by name (`memory.stat`), each read once, and what parsers did not understand of it."""

    __slots__ = ("_content", "not_understood", "odd")

    def __init__(self, content: Callable[[str], Content]) -> None:
        self._content = content
        self.not_understood: list[str] = []
        self.odd: Odd = self.not_understood.append

    __call__ = dict.__getitem__  # a function of Python's would take as long as parsing what it returns

    def __missing__(self, name: str) -> Content:
        content = self[name] = self._content(name)
        return content


Read = Reader[bytes | None]
"""Files of a container: None where this kernel does not have one."""


def understood(parse: Callable[[bytes], T], lines: Iterable[bytes], odd: Odd) -> Iterator[T]:
    """Yield what `parse` makes of each line, but for those of which it raises Malformed."""
    for line in lines:
        try:
            parsed = parse(line)
        except Malformed as error:
            odd(str(error))
        else:
            yield parsed


def single_value(data: bytes | None, odd: Odd = refuse) -> int | None:
    """A file of one number, as `memory.current`. None for a file that is absent."""
    if data is None:
        return None
    try:
        if len(data) <= _LONGEST_NUMBER:
            return int(data)
        return number(data)
    except ValueError:
        odd(_not_a_number(data))
        return None


def limit(data: bytes | None, odd: Odd = refuse) -> int | None:
    """A file of one number or "max", as `pids.max`: 0 for "max", no limit. None for a file that is absent."""
    return 0 if data is not None and data.strip() == b"max" else single_value(data, odd)


def flat_keyed(data: bytes | None, odd: Odd = refuse) -> Callable[[bytes], int | None]:
    """A file of lines "key number", as `memory.stat`: return a function from key to number, None for an absent one.

    Only numbers that are used are parsed: most files have many more.
    """
    words = (data or b"").split()
    keys, places = _layouts.get(len(words)) or ((), {})
    if words[::2] != keys:
        return _by_lines(data or b"", words, odd)

    def value(key: bytes) -> int | None:
        place = places.get(key)
        if place is None:
            return None
        word = words[place]
        try:
            if len(word) <= _LONGEST_NUMBER:
                return int(word)  # at less cost than by another call
        except ValueError:
            pass
        return single_value(word, odd)

    return value


def _by_lines(data: bytes, words: Sequence[bytes], odd: Odd) -> Callable[[bytes], int | None]:
    """Read a file as `flat_keyed` does, and keep its layout if all of it is understood."""
    lines = data.splitlines()
    try:
        fields = dict(map(bytes.split, lines))
    except ValueError:
        fields = dict(understood(_key_and_value, lines, odd))
    else:
        if len(_layouts) < _MOST_LAYOUTS:
            keys = words[::2]
            _layouts[len(words)] = keys, {key: 2 * number + 1 for number, key in enumerate(keys)}
    return lambda key: single_value(fields.get(key), odd)


def number(token: bytes) -> int:
    """One decimal number. Raise Malformed."""
    try:
        if len(token) <= _LONGEST_NUMBER or len(token.strip()) <= _LONGEST_NUMBER:
            return int(token)
    except ValueError:
        pass
    raise Malformed(_not_a_number(token))


def numbers(tokens: Sequence[bytes]) -> list[int]:
    """Several decimal numbers, at less cost than one by one. Raise Malformed."""
    try:
        if max(map(len, tokens)) <= _LONGEST_NUMBER:
            return list(map(int, tokens))
    except ValueError:
        pass
    return list(map(number, tokens))


def _not_a_number(token: bytes) -> str:
    return f"not a number: {token[:40]!r}"


def is_device_number(token: bytes) -> bool:
    """Return whether it is the number of a device, "8:0"."""
    return _DEVICE_NUMBER.fullmatch(token) is not None


def seconds(count: int | None, per_second: int) -> float | None:
    """Turn a count of ticks, micro- or nanoseconds into seconds; None stays None."""
    return None if count is None else count / per_second


def _key_and_value(line: bytes) -> tuple[bytes, bytes]:
    fields = line.split()
    if len(fields) != 2:
        raise Malformed(f"not a key and a number: {line[:80]!r}")
    return fields[0], fields[1]
