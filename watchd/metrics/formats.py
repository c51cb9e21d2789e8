"""How the kernel writes the files of a cgroup: the formats of its own documentation (cgroup-v2.rst).

Each function takes a file's whole content and raises nothing but `Malformed`.
"""

from collections.abc import Callable

Read = Callable[[str], bytes | None]
"""Gives the content of a container's file by name (`memory.stat`), None where this kernel has no such file."""


class Malformed(ValueError):
    """A kernel file does not say what its documentation promises."""


def single_value(data: bytes | None) -> int | None:
    """A file of one number, as `memory.current`. None for a file that is absent."""
    return None if data is None else number(data)


def limit(data: bytes | None) -> int | None:
    """A file of one number or "max", as `pids.max`: 0 for "max", no limit. None for a file that is absent."""
    return 0 if data is not None and data.strip() == b"max" else single_value(data)


def flat_keyed(data: bytes | None) -> Callable[[bytes], int | None]:
    """A file of lines "key number", as `memory.stat`: gives the number of a key, None for one that is not there.

    Only the numbers that are asked for are made into numbers: most files have many more.
    """
    tokens = iter((data or b"").split())
    try:
        fields = dict(zip(tokens, tokens, strict=True))
    except ValueError as error:
        raise Malformed("not lines of a key and a number: the last number is missing") from error

    def value(key: bytes) -> int | None:
        token = fields.get(key)
        if token is None:
            return None
        try:
            return int(token)
        except ValueError as error:
            raise Malformed(f"not a number: {token[:40]!r}") from error

    return value


def number(token: bytes) -> int:
    """One decimal number."""
    try:
        return int(token)
    except ValueError as error:
        raise Malformed(f"not a number: {token[:40]!r}") from error


def seconds(count: int | None, per_second: int) -> float | None:
    """Turn a count of ticks, micro- or nanoseconds into seconds; None stays None."""
    try:
        return None if count is None else count / per_second
    except OverflowError as error:
        raise Malformed(f"no number of seconds: {str(count)[:40]}...") from error
