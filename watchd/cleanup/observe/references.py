"""References of images, those that they lost included. Pure but for `KnownReferences`, which follows events."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from watchd.model import EngineView, Event, FormerReference, Image, References

MOST_REFERENCES = 20  # of an image, and as many former ones


class KnownReferences:
    """The references of an engine's images, as the record has them after the changes so far."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, float | None]] = {}

    def begin(self, references: References) -> None:
        """Start over from a full list."""
        self._known = dict(references)

    def changes(self, events: Sequence[Event], before: EngineView, after: EngineView, now: float) -> References:
        """Return the references of the images that got or lost some; of images that are gone: none.

        Events name those that an image had for a moment.
        """
        given: dict[str, dict[str, None]] = {}
        for event in events:
            if event.type == "image" and event.action == "tag" and (name := event.attributes.get("name")):
                given.setdefault(event.id, {})[name] = None
        if "image" in after.failures or (before.images is after.images and not given):
            return {}
        old = {image.id: image for image in before.images}
        tags = tags_of(after)
        changed: dict[str, Mapping[str, float | None]] = {}
        for image in after.images:
            if image is not old.pop(image.id, None) or image.id in given:
                known = {**self._known.get(image.id, {}), **given.get(image.id, {})}
                changed[image.id] = references_of(known, image, tags, now)
        for gone in old:
            self._known.pop(gone, None)
        self._known |= changed
        return {**changed, **{gone: {} for gone in old}}


def look_at_references(known: References, view: EngineView, now: float) -> References:
    """Return the references of every image after one more look. Without a complete list of images they stay."""
    if "image" not in view.kinds or "image" in view.failures:
        return known
    tags = tags_of(view)
    return {image.id: references_of(known.get(image.id, {}), image, tags, now) for image in view.images}


def tags_of(view: EngineView) -> frozenset[str]:
    """Return the tags of all images."""
    return frozenset(tag for image in view.images for tag in image.tags)


def references_of(
    known: Mapping[str, float | None], image: Image, tags: Container[str], now: float
) -> dict[str, float | None]:
    """Return the references of an image, and those that it lost with the time; `tags` are those of all images.

    One is lost if another image has it now, or if the image has no tag left. A tag that was taken off while the image
    kept another is forgotten: a name for the time of a build is no repository to count by.
    """
    current = sorted(image.tags or image.digests)[:MOST_REFERENCES]
    lost = {
        reference: now if until is None else until
        for reference, until in known.items()
        if reference not in current and (until is not None or reference in tags or not image.tags)
    }
    latest = sorted(lost, key=lambda reference: _rank(reference, lost[reference]))[:MOST_REFERENCES]
    return {**dict.fromkeys(current), **{reference: lost[reference] for reference in latest}}


def with_former_references(view: EngineView, references: References) -> EngineView:
    """Return the view with the former references of the images that have none now."""
    images = tuple(
        image if image.references else replace(image, former=former_of(references.get(image.id, {})))
        for image in view.images
    )
    return replace(view, images=images)


def former_of(references: Mapping[str, float | None]) -> tuple[FormerReference, ...]:
    """Return the references that an image lost, the last one first."""
    lost = [FormerReference(reference, until) for reference, until in references.items() if until is not None]
    return tuple(sorted(lost, key=lambda each: _rank(each.reference, each.until)))


def _rank(reference: str, until: float) -> tuple[float, bool, str]:
    """Return a sort key: the last one lost first, tags before digests."""
    return (-until, "@" in reference, reference)
