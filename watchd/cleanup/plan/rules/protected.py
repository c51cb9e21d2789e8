"""Protection of objects by the settings (`cleanup.protect`) and by the label `watchd.keep`. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.plan import Facts
from watchd.cleanup.plan.rules.names import PROTECTED_BY
from watchd.cleanup.plan.simulation import Simulation
from watchd.model import Container, Image, Network, Volume
from watchd.model.names.patterns import included_labels, including
from watchd.units import parse_time

KEEP_LABEL = "watchd.keep"
UNMOUNTED = "unmounted"  # fact of a volume with options; false: mounted, or unknown


def protected_container(container: Container, simulation: Simulation) -> Facts | None:
    """Check `protect.containers` and labels."""
    host = simulation.host
    return _protected_by_name(container, host) or _protected_by_label(container.labels, host)


def protected_image(image: Image, simulation: Simulation) -> Facts | None:
    """Check `protect.images`, labels, and the labels of the containers that need the image."""
    host = simulation.host
    found = _protected_by_name(image, host) or _protected_by_label(image.labels, host)
    if found is None:
        for container in host.users.get(image.key, ()):
            by_container = _protected_by_label(container.labels, host)
            if by_container is not None:
                return {**by_container, "container": container.name}
    return found


def protected_network(network: Network, simulation: Simulation) -> Facts | None:
    """Check `protect.networks` and labels, and whether the engine or other networks need it."""
    host = simulation.host
    if network.is_predefined:
        return {"network": "predefined"}
    if network.is_configuration:
        return {"network": "holds the configuration of others"}
    return _protected_by_name(network, host) or _protected_by_label(network.labels, host)


def protected_volume(volume: Volume, simulation: Simulation) -> Facts | None:
    """Check the driver, `protect.volumes`, labels and options."""
    host = simulation.host
    if volume.driver != "local":  # its removal may delete data on another machine
        return {"driver": volume.driver}
    found = _protected_by_name(volume, host) or _protected_by_label(volume.labels, host)
    if found is None and volume.options:
        # What is mounted at its path would lose its files with the volume.
        return {"options": sorted(volume.options), UNMOUNTED: volume.mounted is False}
    return found


def _protected_by_name(subject: Container | Image | Network | Volume, host: Host) -> Facts | None:
    key, names_of = PROTECTED_BY[subject.kind]
    patterns = getattr(host.cleanup.protect, key)
    if not patterns:
        return None
    found = (including(patterns, name) for name in names_of(subject))
    return next(({"protect": key, "pattern": pattern} for pattern in found if pattern is not None), None)


def _protected_by_label(labels: Mapping[str, str], host: Host) -> Facts | None:
    patterns = host.cleanup.protect.labels
    if patterns and (found := included_labels(patterns, labels)):
        return {"protect": "labels", "label": next("=".join(label) for label in found.items())}
    value = labels.get(KEEP_LABEL)
    if value is None or not host.cleanup.honor_labels or value.strip().lower() == "false":
        return None
    if value.strip().lower() == "true":
        return {KEEP_LABEL: value}
    try:
        until = _end(value.strip())
    except (ValueError, OverflowError):
        return {KEEP_LABEL: value, "warning": f"{KEEP_LABEL} is true, false or an RFC 3339 date: kept, to be safe"}
    return {KEEP_LABEL: value} if host.now < until else None


def _end(text: str) -> float:
    """Parse a time, or the end of a date, to seconds since the epoch."""
    if "T" in text.upper() or " " in text:
        return parse_time(text)
    day = date.fromisoformat(text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + 86400
