"""pydantic's errors, told as the file spells its keys."""

import difflib
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from watchd.config.policies import NO_CONDITION, Policy
from watchd.config.schema import NAME_TAKEN, Config, NotJson


def problem(details: ErrorDetails, policies: Sequence[Any]) -> str:
    """Return one line for one of pydantic's errors: the key's path as the file spells it, and what is wrong.

    `policies` are as they are written.
    """
    path = _path(details["loc"])
    match details["type"]:
        case "twice":  # the section's own error: its text begins with the key inside it
            return f"{path}.{details['msg']}"
        case "extra_forbidden":
            message = f"unknown key{suggest(str(details['loc'][-1]), _siblings(details['loc']))}"
        case "missing":
            message = "is missing"
        case "union_tag_not_found":
            message = "has no kind: write kind = " + _or(_KINDS)
        case "union_tag_invalid":
            message = f"kind is {_or(_KINDS)}, not {details['input'].get('kind')!r}"
        case "literal_error" if details["loc"][-1] == "[key]":
            message = f"there is no such condition for this kind: there is {details['ctx']['expected']}"
        case "string_pattern_mismatch":
            message = f"{details['input']!r} is no name: use letters, digits, '_', '.' and '-', at most 64"
        case own if own in _OWN_ERRORS:
            message = details["msg"]
        case _:
            message = _in_plain_words(details)
    return f"{path}{_named(details['loc'], policies)}: {message}"


def overlooked(policies: Sequence[Any]) -> Iterator[str]:
    """Yield what concerns several keys together, which pydantic only looks at once each key by itself is right."""
    names: list[str] = []
    for index, policy in enumerate(policies):
        if not isinstance(policy, dict):  # pydantic says so
            continue
        if not any(policy.get(condition) for condition in ("when", "keep", "pressure")):
            yield f"cleanup.policies[{index}]{_named(('cleanup', 'policies', index), policies)}: {NO_CONDITION}"
        name = policy.get("name")
        if isinstance(name, str):
            if name in names:
                yield f"cleanup.policies[{index}].name: {name!r} {NAME_TAKEN}"
            names.append(name)


_POLICIES = {get_args(policy.model_fields["kind"].annotation)[0]: policy for policy in get_args(Policy)}
_KINDS = list(_POLICIES)
_OWN_ERRORS = {
    "duration", "schedule", "timezone", "engine_host", "listen", "existing_file", "tls", "no_condition", "size", "keep",
    "named", "pressure", "percentage", "quiet_hours", "user_name", "password_hash",
}  # fmt: skip
# pydantic speaks of Python's types and classes.
_PLAIN_WORDS = {
    "tuple_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "path_type": "should be a path",
    "none_required": "is not for this kind, which takes no room on a disk",
}


def _in_plain_words(details: ErrorDetails) -> str:
    message = _PLAIN_WORDS.get(details["type"]) or details["msg"].removeprefix("Input ")
    if not isinstance(details["input"], dict | list) and not _is_secret(details["loc"]):
        message += f", not {details['input']!r}"
    if isinstance(details["input"], NotJson) and (example := _example(details["type"], details["loc"])):
        message += f": write it as JSON, like {example}"
    return message


def _example(type_: str, location: tuple[int | str, ...]) -> str | None:
    """Return what JSON there could be where pydantic wants a list or a table. None for a section: it has variables."""
    if location[-1] == "policies":
        return '[{"name": "a", "kind": "image", "when": {"unused_for": "30d"}}]'
    return {"tuple_type": '["a", "b"]', "dict_type": '{"a": "b"}'}.get(type_)


def _is_secret(location: tuple[int | str, ...]) -> bool:
    """Return whether what is written there may be a password, or has one in it."""
    return location[0] == "http" and location[1:2] in ((), ("users",))


def _path(location: tuple[int | str, ...]) -> str:
    """Return "cleanup.policies[0].when.finished_for" for pydantic's location, which also names the union's tag."""
    path = ""
    for index, step in enumerate(location):
        if isinstance(step, int):
            path += f"[{step}]"
        elif step == "[key]" or (index and isinstance(location[index - 1], int) and step in _KINDS):
            continue
        else:
            path += f".{step}" if path else step
    return path


def _named(location: tuple[int | str, ...], policies: Sequence[Any]) -> str:
    """Return the name of the policy that an error is in, since nobody counts tables."""
    match location:
        case ("cleanup", "policies", int(index), *_) if isinstance(policies[index], dict):
            name = policies[index].get("name")
            return f" ({name})" if isinstance(name, str) else ""
    return ""


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the table at an unknown key's place does have."""
    node: Any = Config
    for step in location[:-1]:
        if isinstance(step, int) or not isinstance(node, type):
            continue
        if step == "policies":
            continue
        if step in _KINDS:
            node = _POLICIES[step]
            continue
        field = node.model_fields.get(step) if issubclass(node, BaseModel) else None
        node = _not_none(field.annotation) if field else None
    if not (isinstance(node, type) and issubclass(node, BaseModel)):
        return []
    return [field.alias or name for name, field in node.model_fields.items()]


def _not_none(annotation: Any) -> Any:
    """Return the class of a field that may be left out."""
    return next((each for each in get_args(annotation) if isinstance(each, type) and each is not NoneType), annotation)


def suggest(word: str, known: list[str]) -> str:
    """Return a hint for a misspelt word, empty when nothing known is like it."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _or(words: list[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)
