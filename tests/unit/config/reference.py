"""The tables of docs/configuration.md: `python -m tests.unit.config.reference` writes them.

Keys, values and defaults are the configuration's own schema; what keys mean is what config.example.toml says of them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests import ROOT
from watchd.config import Config
from watchd.config.load import checked
from watchd.config.validation.models import model_of

DOCUMENT = ROOT / "docs/configuration.md"
_BEGIN, _END = "<!-- table: {} -->", "<!-- end -->"
_KINDS = {
    "container": "ContainerPolicy",
    "image": "ImagePolicy",
    "network": "NetworkPolicy",
    "volume": "VolumePolicy",
    "build_cache": "CachePolicy",
}
_TYPES = {
    "object": "table",
    "path": "path",
    "file-path": "path",
    "string": "text",
    "password": "text",
    "integer": "whole number",
    "boolean": "`true` or `false`",
}
_ORDER = [
    "name", "mode", "schedule", "select", "when", "keep", "pressure",
    "anonymous_volumes", "compose_active", "restart_policy", "builders",
]  # fmt: skip


def with_tables(document: str) -> str:
    """Return a document with the table of each section between its marks."""
    schema = model_of(Config).model_json_schema()
    meanings = _meanings()
    defaults = checked(None).model_dump(mode="json", by_alias=True)

    def table(found: re.Match[str]) -> str:
        section = found[1]
        rows = _policies(schema) if section == "cleanup.policies" else _section(section, schema, meanings, defaults)
        return "\n".join([_BEGIN.format(section), *rows, _END])

    return re.sub(r"<!-- table: ([\w.]+) -->\n.*?<!-- end -->", table, document, flags=re.DOTALL)


def _section(
    section: str, schema: Mapping[str, Any], meanings: Mapping[str, str], defaults: Mapping[str, Any]
) -> Iterator[str]:
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    table: Any = schema
    values: Any = defaults
    for name in section.split("."):
        table, values = _resolved(table["properties"][name], schema), values[name]
    for key, described in table["properties"].items():
        if key in ("protect", "policies", "include", "exclude", "data_roots"):  # tables of their own
            continue
        default = values[key]
        shown = "" if default is None else f"`{json.dumps(default)}`"
        meaning = meanings[f"{section}.{key}"] or "Globs."
        yield f"| `{key}` | {_value(described, schema)} | {shown} | {meaning} |"


def _policies(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row for each key of any kind of policy, with the kinds that have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for kind, name in _KINDS.items():
        for key_and_value in _keys(schema["$defs"][name], schema):
            if key_and_value[0] != "kind":
                found.setdefault(key_and_value, []).append(kind)
    yield "| key | value | for |"
    yield "|---|---|---|"
    yield f"| `kind` | {' or '.join(f'`{json.dumps(kind)}`' for kind in _KINDS)} | all |"
    for (key, value), kinds in sorted(found.items(), key=lambda row: _ORDER.index(row[0][0].partition(".")[0])):
        yield f"| `{key}` | {value} | {'all' if len(kinds) == len(_KINDS) else ', '.join(kinds)} |"


def _keys(table: Mapping[str, Any], schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, described in table["properties"].items():
        inner = _resolved(described, schema)
        names = inner.get("propertyNames", {}).get("enum") or [inner.get("propertyNames", {}).get("const")]
        if "properties" in inner:
            yield from _keys(inner, schema, f"{prefix}{key}.")
        elif names != [None]:
            for name in names:
                yield f"{prefix}{key}.{name}", _value(inner["additionalProperties"], schema)
        elif inner.get("type") != "null":
            yield f"{prefix}{key}", _value(described, schema)


def _resolved(described: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference; of what may be left out, return what it is otherwise."""
    for choice in described.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(choice, schema)
    reference = described.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else described


def _value(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return in words what may be written for a key."""
    inner = _resolved(described, schema)
    if "enum" in inner:
        return " or ".join(f"`{json.dumps(value)}`" for value in inner["enum"])
    if "const" in inner:
        return f"`{json.dumps(inner['const'])}`"
    if inner.get("type") == "array":
        return f"list of {_plural(_value(inner['items'], schema))}"
    if "description" in inner:
        return str(inner["description"])
    least = f" from {inner['minimum']}" if "minimum" in inner else ""
    return _TYPES[inner.get("format", inner["type"])] + least


def _plural(words: str) -> str:
    return {"text": "texts", "whole number": "whole numbers", "glob": "globs"}.get(words, words)


def _meanings() -> dict[str, str]:
    """Return what config.example.toml says of each key, by its section and name: the comment above."""
    meanings: dict[str, str] = {}
    section, comment, is_open = "", [""], True
    for line in (ROOT / "config.example.toml").read_text().splitlines():
        header = re.fullmatch(r"(?:# )?\[+([\w.]+)\]+", line)
        key = re.match(r"(?:# )?([a-z_]+) = ", line)
        if header:
            section, comment = header[1], []
        elif key:
            meanings.setdefault(f"{section}.{key[1]}", " ".join(comment))
            is_open = False
        elif line.startswith("# "):
            comment, is_open = [*(comment if is_open else []), line.removeprefix("# ")], True
        elif not line:
            comment = []
    return meanings


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
