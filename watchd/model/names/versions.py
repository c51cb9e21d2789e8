"""Versions in image tags: numeric core, pre-release as in SemVer, and variant. Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache

_WORDS = "alpha|beta|canary|cr|dev|ea|milestone|nightly|next|prerelease|preview|pre|rc|snapshot|a|b|c|m"
_TAG = re.compile(
    rf"""v?(?P<core>\d+(?:\.\d+)*)
    (?:(?:(?<=\.\d)|(?<=\.\d\d)|(?<=\.\d\d\d)|-)   # "3.13.0rc1", but not "3c1", which may be a commit
       (?P<pre>(?:(?:{_WORDS})(?![a-z])|\d+(?=[-.]|$))    # "-rc.1", "-beta2", "-1"; "-alpine" is a variant
           (?:-?\d+(?=[-.]|$))?(?:\.[0-9a-z]+)*))?
    (?:[-_](?P<variant>.*))?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_PARTS = re.compile(r"\d+|[a-z]+")
_Key = tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]
_RELEASE = (2, 0, "")  # after every identifier of a pre-release


@dataclass(frozen=True, slots=True)
class Version:
    """Version of a tag. Only versions of one variant are comparable, by their keys."""

    key: _Key
    variant: str


@lru_cache(maxsize=4096)
def parse_version(tag: str) -> Version | None:
    """Parse a tag like "1.27.3", "v2.0.0-rc.1" or "3.12-alpine". None: it is no version ("latest", "bookworm")."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return None
    core = [int(number) for number in found["core"].split(".")]
    while core[-1:] == [0]:  # 1.2 and 1.2.0 are equal
        core.pop()
    pre = found["pre"]
    return Version((tuple(core), _pre_release(pre) if pre else (_RELEASE,)), (found["variant"] or "").lower())


def _pre_release(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return the identifiers in SemVer's order: numbers by value and before words. "rc10" counts as "rc.10"."""
    parts = _PARTS.findall(text.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
