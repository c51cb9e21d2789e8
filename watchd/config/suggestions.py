"""Hints for misspelt words."""

import difflib
from collections.abc import Sequence


def suggest(word: str, known: Sequence[str]) -> str:
    """Return a hint for a misspelt word; empty if no known word is similar."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
