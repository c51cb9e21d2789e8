"""Waiting with a deadline."""

import ast
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import getclosurevars
from pathlib import Path
from types import FunctionType
from typing import TypeVar

T = TypeVar("T")

LONGEST_VALUE = 500


def slowdown() -> float:
    """Return how much longer things take than on a machine with free cores: 1 or more."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], T], *, seconds: float, what: str) -> T:
    """Call `condition` until it returns something true, and return that. Wait for a state that stays.

    Raise TimeoutError after `seconds`, or later on a machine with more to do than cores; the last look begins after
    that, since this process itself may have stood still. The message has what the condition returned last, or the
    values that it compares.
    """
    began = time.monotonic()
    is_late = False
    while not (value := condition()):
        if is_late:
            seen = [*_compared(condition)] or ([] if value is False else [f"it is {_shown(value)}"])
            raise TimeoutError("\n".join([f"waited {seconds * slowdown():.0f} s for {what}", *seen]))
        time.sleep(0.02)
        is_late = time.monotonic() - began > seconds * slowdown()
    return value


def settled(read: Callable[[], T], *, still: float, seconds: float, what: str) -> T:
    """Call `read` until it has returned the same for `still` seconds, and return that. Raise as `wait_until` does."""
    value, since = read(), time.monotonic()

    def is_settled() -> bool:
        nonlocal value, since
        if (now := read()) != value:
            value, since = now, time.monotonic()
            return False
        return time.monotonic() - since >= still

    wait_until(is_settled, seconds=still + seconds, what=f"{what} to settle")
    return value


def _compared(condition: Callable[[], object]) -> Iterator[str]:
    """Evaluate what a lambda compares, once more, and yield each expression with its value."""
    if not isinstance(condition, FunctionType):
        return
    variables = {}
    with suppress(ValueError):  # of a closure that has no value yet
        variables = {**condition.__globals__, **getclosurevars(condition).nonlocals}
    parameters = condition.__code__.co_varnames[: condition.__code__.co_argcount]
    variables |= zip(parameters, condition.__defaults__ or (), strict=True)
    for expression in _comparands(condition):
        with suppress(Exception):  # the condition itself raised nothing: this is of a moment later
            value = eval(compile(ast.Expression(expression), "<condition>", "eval"), variables)  # noqa: S307 - our own
            yield f"{ast.unparse(expression)} is {_shown(value)}"


def _comparands(condition: FunctionType) -> Iterator[ast.expr]:
    """Yield what a lambda compares, but for literals. Yield nothing where its line has another one."""
    code = condition.__code__
    found = [
        node
        for node in ast.walk(ast.parse(Path(code.co_filename).read_text()))
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
    ]
    bodies = [node.body for node in found] if len(found) == 1 else []
    while bodies:
        match bodies.pop(0):
            case ast.BoolOp(values=values):
                bodies += values
            case ast.UnaryOp(operand=operand):
                bodies.append(operand)
            case ast.Compare(left=left, comparators=right):
                yield from (
                    each for each in (left, *right) if any(isinstance(part, ast.Name) for part in ast.walk(each))
                )


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_VALUE else f"... {text[-LONGEST_VALUE:]}"


class Deadline:
    """One deadline for several waits in a row."""

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._seconds = seconds

    def wait_until(self, condition: Callable[[], T], *, what: str) -> T:
        """Do as `wait_until` does, until the deadline."""
        used = (time.monotonic() - self._began) / slowdown()
        return wait_until(condition, seconds=max(0.0, self._seconds - used), what=what)
