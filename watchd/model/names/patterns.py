"""Patterns: globs over whole names, in lists in which `!` excludes again. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

EXCLUDES = "!"
_NEVER_IN_NAMES = re.compile(r"[\^$|()\\]")
_ALTERNATIVES = re.compile(r"([^()]*)\(([^()]*)\)([^()]*)")


@dataclass(frozen=True, slots=True)
class Name:
    """One name of an object, in all its spellings.

    An exclusion may be about more spellings than a pattern that selects: `further` are for exclusions alone. It is
    about an ID only where it says so: "!db*" must not match the digits of one.
    """

    spellings: Sequence[str]
    further: Sequence[str] = ()
    ids: Sequence[str] = ()

    def matches(self, pattern: str) -> bool:
        """Return whether a pattern, or what it excludes, matches this name; case matters."""
        if not pattern.startswith(EXCLUDES):
            return any(fnmatchcase(text, pattern) for text in self.spellings)
        glob = pattern[1:]
        return (
            any(fnmatchcase(text, glob) for text in (*self.spellings, *self.further) if text not in self.ids)
            or glob in self.ids
            or (glob.startswith("sha256:") and any(fnmatchcase(id_, glob) for id_ in self.ids))
        )


def including(patterns: Sequence[str], name: Name) -> str | None:
    """Return the last pattern that matches a name. None if it is an exclusion, or none matches."""
    last = next((each for each in reversed(patterns) if name.matches(each)), EXCLUDES)
    return None if last.startswith(EXCLUDES) else last


def includes(patterns: Sequence[str], name: Name) -> bool:
    """Return whether the last pattern that matches a name is no exclusion. False if none matches."""
    return including(patterns, name) is not None


def matches_label(pattern: str, key: str, value: str) -> bool:
    """Return whether "key" or "key=value", or what "!key=value" excludes, matches a label."""
    key_glob, equals, value_glob = pattern.removeprefix(EXCLUDES).partition("=")
    return fnmatchcase(key, key_glob) and (not equals or fnmatchcase(value, value_glob))


def included_labels(patterns: Sequence[str], labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of which the last pattern that matches is no exclusion."""
    found = {}
    for key, value in labels.items():
        last = next((each for each in reversed(patterns) if matches_label(each, key, value)), EXCLUDES)
        if not last.startswith(EXCLUDES):
            found[key] = value
    return found


def problems(patterns: Sequence[str], *, of_names: bool) -> Iterable[tuple[int, str]]:
    """Yield the patterns of a list that can match nothing: their index, and why with what to write instead.

    `of_names`: of names and references, in which some characters never are; labels may have any.
    """
    for index, pattern in enumerate(patterns):
        bare = pattern.removeprefix(EXCLUDES)
        if not bare:
            yield index, "is empty, and would match nothing: remove it"
            continue
        if index == 0 and pattern != bare:
            yield index, f'excludes from nothing: write what it excludes from before it, like ["*", "{pattern}"]'
        if of_names and _NEVER_IN_NAMES.search(bare):
            yield index, f"has {_characters(bare)}, which no name has: {_instead(pattern)}"


def _characters(text: str) -> str:
    return " and ".join(f'"{each}"' for each in dict.fromkeys(_NEVER_IN_NAMES.findall(text)))


def _instead(pattern: str) -> str:
    prefix = EXCLUDES if pattern.startswith(EXCLUDES) else ""
    globs = [f'"{prefix}{glob}"' for glob in _as_globs(pattern.removeprefix(EXCLUDES))]
    written = f", here {', '.join(globs)}" if globs else ""
    return f"write globs over the whole name, with *, ? and [a-z]{written}"


def _as_globs(expression: str) -> list[str]:
    """Translate a simple regular expression; empty where it is not simple."""
    text = expression.replace("[^", "[!").removeprefix("^").removesuffix("$")
    text = text.replace("\\.", "\0").replace(".*", "*").replace(".+", "?*").replace("\0", ".").replace("(?:", "(")
    group = _ALTERNATIVES.fullmatch(text)
    globs = [f"{group[1]}{each}{group[3]}" for each in group[2].split("|")] if group else text.split("|")
    return [] if any(not glob or _NEVER_IN_NAMES.search(glob) for glob in globs) else globs
