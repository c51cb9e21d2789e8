"""Counts of the uses of images on a past host so far. Pure."""

from watchd.cleanup.observe.uses import PAUSE
from watchd.model import Key, Uses


class Frequency:
    """The uses of images, those of their earlier lives included; those with short pauses count as one."""

    def __init__(self) -> None:
        self._uses: dict[Key, tuple[Uses, float]] = {}  # with the end of the last one

    def used(self, key: Key, at: float, *, goes_on: bool = False) -> None:
        """Note a use at a time; one that `goes_on` is not another one."""
        uses, until = self._uses.get(key, (Uses(1, at), at))
        if not goes_on and at - until > PAUSE:
            uses = Uses(uses.count + 1, uses.first)
        self._uses[key] = uses, max(until, at)

    def of(self, key: Key) -> Uses | None:
        """Return the uses of an image."""
        found = self._uses.get(key)
        return None if found is None else found[0]
