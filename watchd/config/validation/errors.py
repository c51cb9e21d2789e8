"""Validation errors of pydantic, with paths and words of the configuration file."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic_core import ErrorDetails

from watchd.config.schema.config import NAME_TAKEN, Config
from watchd.config.schema.keep import missing_per
from watchd.config.schema.policies import NEVER_ENDED, NO_CONDITION, Policy, never_finished
from watchd.config.schema.section import key_of
from watchd.config.suggestions import suggest
from watchd.config.validation.environment import NotJson
from watchd.config.validation.models import OWN_ERROR

DOUBLE_BRACKETS = "write [[cleanup.policies]] with two brackets"
_FEW = 4  # keys that fit into a message


def problem(details: ErrorDetails, policies: Sequence[Any]) -> str:
    """Format one error of pydantic: the path of the key in the file, and the message. `policies` are the raw ones."""
    path = _path(details["loc"])
    match details["type"]:
        case "extra_forbidden":
            message = _unknown_key(details["loc"])
        case "missing":
            message = "is missing"
        case "union_tag_not_found":
            message = "has no kind: write kind = " + _or(_KINDS)
        case "union_tag_invalid":
            message = f"kind is {_or(_KINDS)}, not {details['input'].get('kind')!r}"
        case "literal_error" if details["loc"][-1] == "[key]":
            message = f"unknown condition for this kind: use {details['ctx']['expected']}"
        case "tuple_type" if details["loc"] == ("cleanup", "policies") and isinstance(details["input"], dict):
            message = f"should be a list of tables: {DOUBLE_BRACKETS}"
        case own if own == OWN_ERROR:
            message = details["msg"]
        case _:
            message = _in_plain_words(details)
    return f"{path}{_named(details['loc'], policies)}: {message}"


def overlooked(policies: Sequence[Any]) -> Iterator[str]:
    """Yield the errors between several keys: pydantic checks those only if each key is valid."""
    names: list[str] = []
    for index, policy in enumerate(policies):
        if not isinstance(policy, dict):  # reported by pydantic
            continue
        if not any(policy.get(condition) for condition in ("when", "keep", "pressure")):
            yield f"cleanup.policies[{index}]{_named(('cleanup', 'policies', index), policies)}: {NO_CONDITION}"
        yield from _contradictions(policy, index, policies)
        name = policy.get("name")
        if isinstance(name, str):
            if name in names:
                yield f"cleanup.policies[{index}].name: {name!r} {NAME_TAKEN}"
            names.append(name)


def _contradictions(policy: dict[str, Any], index: int, policies: Sequence[Any]) -> Iterator[str]:
    """Yield the errors between the keys of one policy."""
    path, name = f"cleanup.policies[{index}]", _named(("cleanup", "policies", index), policies)
    match policy:
        case {"kind": "container" | "image" as kind, "keep": {"last": last, **keep}} if "per" not in keep:
            yield f"{path}.keep.per{name}: {missing_per(kind, last)}"
    match policy:
        case {"kind": "container", "select": {"status": list(statuses)}, "when": dict(when)}:
            for number in never_finished(statuses, when):
                yield f"{path}.select.status[{number}]{name}: {NEVER_ENDED}"


_POLICIES = {get_args(get_type_hints(policy)["kind"])[0]: policy for policy in get_args(Policy)}
_KINDS = list(_POLICIES)
# Instead of pydantic's words for Python types.
_PLAIN_WORDS = {
    "tuple_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "path_type": "should be a path",
    "none_required": "does not apply to this kind, which uses no disk space",
}


_NAMES_OF_KINDS = {kind: f"{kind}s" for kind in _KINDS} | {"build_cache": "the build cache"}


def _unknown_key(location: tuple[int | str, ...]) -> str:
    """Return for which kinds of object a key is; of one that no kind has, the nearest, or all of a small table."""
    if others := _kinds_with(location):
        *first, last = (_NAMES_OF_KINDS[kind] for kind in others)
        return f"is for {', '.join(first)} and {last}" if first else f"is for {last}"
    known = _siblings(location)
    return f"unknown key{suggest(str(location[-1]), known) or _all_of(known)}"


def _kinds_with(location: tuple[int | str, ...]) -> list[str]:
    """Return the kinds whose policies have this key."""
    match location:
        case ("cleanup", "policies", int(index), _, *keys):
            tables = {kind: ("cleanup", "policies", index, kind, *keys) for kind in _KINDS}
            return [kind for kind, table in tables.items() if keys[-1] in _siblings(table)]
    return []


def _in_plain_words(details: ErrorDetails) -> str:
    message = _PLAIN_WORDS.get(details["type"]) or details["msg"].removeprefix("Input ")
    if not isinstance(details["input"], dict | list) and not _is_secret(details["loc"]):
        message += f", not {details['input']!r}"
    if isinstance(details["input"], NotJson) and (example := _example(details["type"], details["loc"])):
        message += f": write it as JSON, like {example}"
    return message


def _example(type_: str, location: tuple[int | str, ...]) -> str | None:
    """Return a JSON example of a list or a table. None for a section: its keys have variables of their own."""
    if location[-1] == "policies":
        return '[{"name": "a", "kind": "image", "when": {"unused_for": "30d"}}]'
    return {"tuple_type": '["a", "b"]', "dict_type": '{"a": "b"}'}.get(type_)


def _is_secret(location: tuple[int | str, ...]) -> bool:
    """Return whether the value may contain a password."""
    return location[:1] == ("notify",) or (location[0] == "http" and location[1:2] in ((), ("users",)))


def _path(location: tuple[int | str, ...]) -> str:
    """Return a path like "cleanup.policies[0].when.finished_for"; pydantic's location also contains the union's tag."""
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
    """Return the name of the policy with the error, for people who do not count tables."""
    match location:
        case ("cleanup", "policies", int(index), *rest) if isinstance(policies[index], dict) and rest != ["name"]:
            name = policies[index].get("name")
            return f" ({name})" if isinstance(name, str) else ""
    return ""


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Return the valid keys of the table that contains an unknown key."""
    node: Any = Config
    for step in location[:-1]:
        if isinstance(step, int) or step == "policies" or not is_dataclass(node):
            continue
        node = _POLICIES.get(step) or _not_none(get_type_hints(node).get(step))
    return [key_of(field.name) for field in fields(node)] if is_dataclass(node) else []


def sections_with(key: str) -> list[str]:
    """Return the sections that have this key."""
    return [section.name for section in fields(Config) if key in _siblings((section.name, key))]


def _not_none(annotation: Any) -> Any:
    """Return the class of an optional field."""
    return next((each for each in get_args(annotation) if isinstance(each, type) and each is not NoneType), annotation)


def _all_of(known: list[str]) -> str:
    """Return the keys of a small table; empty for a large one, which the reference shows better."""
    return f" (write {_or(known)})" if 0 < len(known) <= _FEW else ""


def _or(words: list[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)
