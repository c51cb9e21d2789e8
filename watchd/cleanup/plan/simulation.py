"""A host after the removals planned so far. The only state of planning besides the decisions. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.plan import KINDS, Decision
from watchd.cleanup.plan.space.cache_layers import Piece
from watchd.cleanup.plan.space.space import LOG
from watchd.model import Container, Disk, Image, ImageClass, Key, Kind, Subject

Cascade = Sequence[tuple[Subject, Decision]]
"""An object with its decision, followed by the parents that the engine removes along with it."""

_NO_IMAGE: frozenset[ImageClass] = frozenset()
_TAGGED: frozenset[ImageClass] = frozenset(("tagged",))
_DIGEST_ONLY: frozenset[ImageClass] = frozenset(("untagged", "digest_only"))
_UNTAGGED: frozenset[ImageClass] = frozenset(("untagged",))
_DANGLING: frozenset[ImageClass] = frozenset(("untagged", "dangling"))


class Simulation:
    """State of a host after the removals so far: objects, disk space, limits of the run (`max_items`, `max_bytes`)."""

    def __init__(self, host: Host, removed: Mapping[Key, Decision] | None = None) -> None:
        self.host = host
        self.removed: dict[Key, Decision] = dict(removed or {})  # in force, in the order of removal
        self.bytes: dict[Key, int] = {}  # freed by each removal, after those before it
        self.freed: Counter[str] = Counter()  # bytes, by path of the disk
        self._gone: Counter[Piece] = Counter()  # holders removed, of each piece of disk space
        self.space = host.space
        self._disks = host.view.disks
        self._log_disk = host.view.log_disk
        limits = host.cleanup
        self._items_left = math.inf if limits.max_items is None else limits.max_items
        self._bytes_left = math.inf if limits.max_bytes is None else limits.max_bytes

    def copy(self) -> Self:
        """Return a copy to try something out."""
        other = copy(self)
        other.removed = self.removed.copy()
        other.bytes = self.bytes.copy()
        other.freed = self.freed.copy()
        other._gone = self._gone.copy()  # noqa: SLF001 - its own class
        return other

    def unlimited(self) -> Self:
        """Return a copy without the limits of the run."""
        other = self.copy()
        other._items_left = other._bytes_left = math.inf  # noqa: SLF001 - its own class
        return other

    def among(self, subjects: Sequence[Subject]) -> Self:
        """Return a copy with these objects alone on one disk, after the removals so far."""
        other = self.unlimited()
        other.space = self.host.space.only(subjects)
        total = Disk(path="", used=other.space.total(), available=0)
        other._disks, other._log_disk = dict.fromkeys(KINDS, total), total  # noqa: SLF001 - its own class
        other.freed.clear()
        other._gone.clear()  # noqa: SLF001 - its own class
        for key in self.removed:
            other.take(key)
        return other

    def remove(self, cascade: Cascade) -> bool:
        """Remove objects of one kind that go together. Return False, and change nothing, beyond the run's limits."""
        size = sum(self._freed_by([subject.key for subject, _ in cascade]))
        if self._items_left < len(cascade) or self._bytes_left < size:
            return False
        self._items_left -= len(cascade)
        self._bytes_left -= size
        for subject, decision in cascade:
            self.removed[subject.key] = decision
            self.take(subject.key)
        return True

    def take(self, key: Key) -> None:
        """Count the bytes of an object as freed, except those that a remaining object also holds."""
        (self.bytes[key],) = self._freed_by([key])
        for piece in self.space.held.get(key, ()):
            self._gone[piece] += 1
            if self._gone[piece] == len(self.space.holders[piece]):
                self._count(key, piece, 1)

    def put_back(self, key: Key) -> None:
        """Undo a removal: its bytes are no longer free."""
        del self.removed[key], self.bytes[key]
        for piece in self.space.held.get(key, ()):
            if self._gone[piece] == len(self.space.holders[piece]):
                self._count(key, piece, -1)
            self._gone[piece] -= 1

    def _count(self, key: Key, piece: Piece, sign: int) -> None:
        disk = self._log_disk if piece[0] == LOG else self._disks.get(key[0])
        if disk is not None:
            self.freed[disk.path] += sign * (self.space.sizes[piece] or 0)

    def releases(self, key: Key, *, empty: bool) -> bool:
        """Return whether the removal of an object helps to free what it shares least, or may: its size is unknown.

        A layer that all images share does not count: its room is not worth all of them. `empty` counts pieces of 0
        bytes as well: they have inodes. Neither does a log on another disk than its container's layer.
        """
        space = self.space
        elsewhere = self._log_disk != self._disks.get("container")
        pieces = [
            piece
            for piece in space.held.get(key, ())
            if (empty or space.sizes[piece] != 0) and not (elsewhere and piece[0] == LOG)
        ]
        fewest = min((len(space.holders[piece]) for piece in pieces), default=0)
        return any(self._gone[piece] == len(space.holders[piece]) == fewest for piece in pieces)

    def other_holders(self, key: Key) -> frozenset[Kind]:
        """Return the kinds of the remaining objects that share bytes with an object."""
        space = self.space
        shared = [space.holders[piece] for piece in space.held.get(key, ()) if space.sizes[piece] != 0]
        return frozenset(each[0] for keys in shared for each in keys if each != key and each not in self.removed)

    def _freed_by(self, keys: Sequence[Key]) -> list[int]:
        """Return the bytes that each of these removals frees, one after the other."""
        space, gone, freed = self.space, Counter[Piece](), []
        for key in keys:
            pieces = space.held.get(key, ())
            gone.update(pieces)
            last = (each for each in pieces if self._gone[each] + gone[each] == len(space.holders[each]))
            freed.append(sum(space.sizes[piece] or 0 for piece in last))
        return freed

    def disk(self, kind: Kind) -> Disk | None:
        """Return the disk of a kind as it would be now; None if it cannot be measured."""
        disk = self._disks.get(kind)
        return None if disk is None else disk.freed(self.freed[disk.path])

    def users(self, subject: Subject) -> list[Container]:
        """Return the containers left, in any state, that need an object."""
        return [user for user in self.host.users.get(subject.key, ()) if user.key not in self.removed]

    def children(self, subject: Subject) -> list[str]:
        """Return the IDs of the objects left that are made of this one."""
        return [child[1] for child in self.host.children.get(subject.key, ()) if child not in self.removed]

    def removed_parents(self, subject: Subject) -> list[Image]:
        """Return the parents that the engine removes along with an image, the nearest first.

        On engines that ignore `noprune`: untagged parents without any other child left.
        """
        found: list[Image] = []
        host = self.host
        if not isinstance(subject, Image) or host.view.engine.honors_noprune:
            return found
        child, parent = subject, host.images.get(subject.parent_id or "")
        while parent and not parent.tags and parent not in found and self.children(parent) == [child.id]:
            found.append(parent)
            child, parent = parent, host.images.get(parent.parent_id or "")
        return found

    def classes(self, subject: Subject) -> frozenset[ImageClass]:
        """Return the classes of an image; it becomes dangling when its last child goes."""
        if not isinstance(subject, Image):
            return _NO_IMAGE
        if subject.tags:
            return _TAGGED
        if subject.digests:
            return _DIGEST_ONLY
        return _UNTAGGED if self.children(subject) else _DANGLING
