"""Hints for misspelt words."""

from collections.abc import Sequence

_NEAR = 0.75  # difflib's ratio: with its default, "total_above" would be near "above"


def suggest(word: str, known: Sequence[str]) -> str:
    """Return a hint for a misspelt word; empty if no known word is similar."""
    import difflib  # noqa: PLC0415 - only for a word that is misspelt

    likely = [each for each in known if each[:1] == word[:1]]
    close = difflib.get_close_matches(word, likely, n=1, cutoff=_NEAR)
    return f" (did you mean {close[0]!r}?)" if close else ""
