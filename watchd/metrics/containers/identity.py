"""Identities that a container shares with the one that replaces it. Pure."""

from collections.abc import Iterator

from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Container

_COMPOSE_NUMBER = "com.docker.compose.container-number"
_COMPOSE_ONE_OFF = "com.docker.compose.oneoff"
_SWARM_TASK_NAME = "com.docker.swarm.task.name"  # <service>.<slot, or node>.<task ID>

Identity = tuple[str, ...]


def identities(container: Container) -> Iterator[Identity]:
    """Yield its name; its Compose project, service and number, unless it is a one-off; its Swarm service and slot."""
    yield "name", container.name
    labels = container.labels
    if COMPOSE_SERVICE in labels and labels.get(_COMPOSE_ONE_OFF, "").lower() != "true":
        yield "compose", labels.get(COMPOSE_PROJECT, ""), labels[COMPOSE_SERVICE], labels.get(_COMPOSE_NUMBER, "")
    slot, _, task = labels.get(_SWARM_TASK_NAME, "").rpartition(".")
    if slot and task:
        yield "swarm", slot
