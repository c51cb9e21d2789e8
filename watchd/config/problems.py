"""pydantic's errors, told as the file spells its keys."""

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from watchd.config.schema import NAME_TAKEN, NO_CONDITION, Config, ContainerPolicy, ImagePolicy


def problem(details: ErrorDetails, content: dict[str, Any]) -> str:
    """Return one line for one of pydantic's errors: the key's path as the file spells it, and what is wrong."""
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
        case _:
            message = details["msg"][:1].lower() + details["msg"][1:]
            if not isinstance(details["input"], dict | list) and details["type"] not in _OWN_ERRORS:
                message += f", not {details['input']!r}"
    name = _policy_name(details["loc"], content)
    return f"{path}{f' ({name})' if name else ''}: {message}"


def overlooked(content: dict[str, Any]) -> Iterator[str]:
    """Yield what concerns several keys together, which pydantic only looks at once each key by itself is right."""
    try:
        policies = [policy for policy in content["cleanup"]["policies"] if isinstance(policy, dict)]
    except (KeyError, TypeError):  # no policies, or something else in their place: pydantic says so
        return
    names = [policy.get("name") for policy in policies]
    for index, policy in enumerate(policies):
        if not policy.get("when"):
            yield f"cleanup.policies[{index}] ({policy.get('name')}): {NO_CONDITION}"
        if policy.get("name") in names[:index]:
            yield f"cleanup.policies[{index}].name: {policy['name']!r} {NAME_TAKEN}"


_KINDS = ["container", "image"]
_OWN_ERRORS = {"duration", "schedule", "timezone", "engine_host", "listen", "tls", "no_condition"}


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


def _policy_name(location: tuple[int | str, ...], content: dict[str, Any]) -> str | None:
    """Return the name of the policy that an error is in, since nobody counts tables."""
    match location:
        case ("cleanup", "policies", int(index), *_):
            try:
                name = content["cleanup"]["policies"][index]["name"]
            except (KeyError, IndexError, TypeError):  # from the environment, or malformed itself
                return None
            return name if isinstance(name, str) else None
    return None


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the table at an unknown key's place does have."""
    node: Any = Config
    for step in location[:-1]:
        if isinstance(step, int) or not isinstance(node, type):
            continue
        if step == "policies":
            continue
        if step in _KINDS:
            node = ContainerPolicy if step == "container" else ImagePolicy
            continue
        field = node.model_fields.get(step) if issubclass(node, BaseModel) else None
        node = field.annotation if field else None
    if not (isinstance(node, type) and issubclass(node, BaseModel)):
        return []
    return [field.alias or name for name, field in node.model_fields.items()]


def suggest(word: str, known: list[str]) -> str:
    """Return a hint for a misspelt word, empty when nothing known is like it."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _or(words: list[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)
