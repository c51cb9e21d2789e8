"""What no policy removes, whatever it selects: each protection with its facts, in the published order. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from watchd.model import COMPOSE_PROJECT, Container, Image, Kind
from watchd.prune.plan import Reason
from watchd.prune.policy import matches, matches_label
from watchd.prune.references import familiar, normalize, repository
from watchd.prune.view import View
from watchd.units import parse_time

T = TypeVar("T")
Facts = Mapping[str, Any]
Protection = tuple[Reason, Callable[[T, View], Facts | None]]  # the facts where it applies, None where it does not
KEEP_LABEL = "watchd.keep"
_AT_MOST = 10  # names in the facts: an image may have hundreds of containers


def _incomplete_view(kind: Kind, *rests_on: Kind) -> Callable[[Any, View], Facts | None]:
    def incomplete_view(_: Any, view: View) -> Facts | None:
        failures = view.snapshot.failures
        return next(
            ({"failed": failed, "error": failures[failed]} for failed in (kind, *rests_on) if failed in failures), None
        )

    return incomplete_view


def _own_container(container: Container, view: View) -> Facts | None:
    return _unidentified(view) or ({"watchd": "runs in it"} if container.id == view.snapshot.own.container_id else None)


def _own_image(image: Image, view: View) -> Facts | None:
    return _unidentified(view) or ({"watchd": "runs from it"} if image.id == view.own_image_id else None)


def _unidentified(view: View) -> Facts | None:
    own = view.snapshot.own
    if own.in_container and own.container_id is None:
        return {"watchd": "runs in a container and cannot tell which: nothing is removed that it could be"}
    return None


def _protected_container(container: Container, view: View) -> Facts | None:
    protect = view.cleanup.protect
    if matches(protect.containers, container.name, container.id, container.id[:12]):
        return {"protect": "containers"}
    return _protected_by_label(container.labels, view)


def _protected_image(image: Image, view: View) -> Facts | None:
    if view.cleanup.protect.images and matches(view.cleanup.protect.images, *_names_of(image)):
        return {"protect": "images"}
    found = _protected_by_label(image.labels, view)
    if found is None:
        for container in view.users.get(image.id, ()):
            by_container = _protected_by_label(container.labels, view)
            if by_container is not None:
                return {**by_container, "container": container.name}
    return found


def _names_of(image: Image) -> list[str]:
    """Return every way to write which image it is: a glob that means it in any of them protects it."""
    full = [normalize(reference) for reference in image.references]
    digits = image.id.removeprefix("sha256:")
    names = [*image.references, *full, *map(familiar, full)]
    return [*names, *map(repository, names), image.id, digits, digits[:12]]


def _protected_by_label(labels: Mapping[str, str], view: View) -> Facts | None:
    if matches_label(view.cleanup.protect.labels, labels):
        return {"protect": "labels"}
    value = labels.get(KEEP_LABEL)
    if value is None or not view.cleanup.honor_labels or value.strip().lower() == "false":
        return None
    if value.strip().lower() == "true":
        return {KEEP_LABEL: value}
    try:
        until = _moment(value.strip())
    except (ValueError, OverflowError):
        return {KEEP_LABEL: value, "warning": f"{KEEP_LABEL} is true, false or an RFC 3339 date: kept, to be safe"}
    return {KEEP_LABEL: value} if view.now < until else None


def _moment(text: str) -> float:
    """Return the end of a date, or a time, in seconds since the epoch."""
    if "T" in text.upper() or " " in text:
        return parse_time(text)
    day = date.fromisoformat(text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + 86400


def _in_use(image: Image, view: View) -> Facts | None:
    users = view.users_left(image)
    if not users:
        return None
    facts: dict[str, Any] = {
        "containers": sorted(f"{user.name} ({user.status})" for user in users)[:_AT_MOST],
        "container_count": len(users),
    }
    further = _further_tags(image, view)
    return {**facts, "further_tags": further} if further else facts


def _is_idle_member(container: Container, view: View) -> bool:
    """Whether a container has ended and others of its Compose project run: `up` and `run` made it, and count on it."""
    project = container.labels.get(COMPOSE_PROJECT)
    return project in view.active_projects and container.status in ("exited", "dead")


def _compose_active_container(container: Container, view: View) -> Facts | None:
    return {"project": container.labels[COMPOSE_PROJECT]} if _is_idle_member(container, view) else None


def _compose_active_image(image: Image, view: View) -> Facts | None:
    members = [container for container in view.users.get(image.id, ()) if _is_idle_member(container, view)]
    return {"project": members[0].labels[COMPOSE_PROJECT], "container": members[0].name} if members else None


def _restart_policy(container: Container, _: View) -> Facts | None:
    meant_to_start_again = container.status in ("exited", "dead") and container.restart_policy in (
        "always",
        "unless-stopped",
    )
    return {"restart_policy": container.restart_policy} if meant_to_start_again else None


def _tag_of_in_use(image: Image, view: View) -> Facts | None:
    # The engine would take these off although a container runs from the image. Every image that this is true of is in
    # use, and that is its reason; the tags are among its facts.
    further = _further_tags(image, view)
    return {"further_tags": further} if further and view.users_left(image) else None


def _further_tags(image: Image, view: View) -> list[str]:
    """Return the tags of an image by which no container names it."""
    named = {normalize(user.image) for user in view.users_left(image) if user.image}
    return [tag for tag in image.tags if normalize(tag) not in named] if len(image.tags) > 1 else []


def _has_children(image: Image, view: View) -> Facts | None:
    children = view.children_left(image)
    return {"children": sorted(children)[:_AT_MOST], "child_count": len(children)} if children else None


def _grace(kind: Kind) -> Callable[[Any, View], Facts | None]:
    def grace(subject: Container | Image, view: View) -> Facts | None:
        needs = view.cleanup.grace
        seen = view.seen(kind, subject.id)
        # An image that is pulled again has only just come, however long watchd has known it.
        elapsed = 0.0 if seen is None else max(0.0, view.now - max(seen.first_seen, seen.arrived_at))
        return {"first_seen_for": {"elapsed": round(elapsed, 3), "needs": needs}} if elapsed < needs else None

    return grace


def _keep(kind: Kind) -> Callable[[Any, View], Facts | None]:
    return lambda subject, view: view.spared.get((kind, subject.id))


# What the policy that removes may opt out of, with its key of this name.
OPTIONAL = {Reason.COMPOSE_ACTIVE: "compose_active", Reason.RESTART_POLICY: "restart_policy"}

CONTAINER: tuple[Protection[Container], ...] = (
    (Reason.INCOMPLETE_VIEW, _incomplete_view("container")),
    (Reason.SELF, _own_container),
    (Reason.PROTECTED, _protected_container),
    (Reason.COMPOSE_ACTIVE, _compose_active_container),
    (Reason.RESTART_POLICY, _restart_policy),
    (Reason.GRACE, _grace("container")),
    (Reason.KEEP, _keep("container")),
)

IMAGE: tuple[Protection[Image], ...] = (
    (Reason.INCOMPLETE_VIEW, _incomplete_view("image", "container")),
    (Reason.SELF, _own_image),
    (Reason.PROTECTED, _protected_image),
    (Reason.IN_USE, _in_use),
    (Reason.COMPOSE_ACTIVE, _compose_active_image),
    (Reason.TAG_OF_IN_USE, _tag_of_in_use),
    (Reason.HAS_CHILDREN, _has_children),
    (Reason.GRACE, _grace("image")),
    (Reason.KEEP, _keep("image")),
)
