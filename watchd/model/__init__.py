"""The objects of a Docker host as immutable values, used by every other module.

Times are seconds since the epoch (UTC) as floats, sizes are bytes, durations are seconds. Names are the Engine API's.
"""

from watchd.model.amount import Amount, amount_as_json, total
from watchd.model.engine import (
    UNKNOWN_ENGINE,
    ContainerSize,
    DiskUsage,
    EngineInfo,
    Event,
    ImageUsage,
    Own,
    Service,
    SwarmRole,
)
from watchd.model.history.exits import Exit
from watchd.model.history.observations import Observation, Observations, References, Uses
from watchd.model.history.regret import Regret
from watchd.model.objects.build_cache import CacheRecord
from watchd.model.objects.container import (
    COMPOSE_PROJECT,
    COMPOSE_SERVICE,
    SWARM_SERVICE,
    SWARM_TASK,
    Container,
    Limits,
)
from watchd.model.objects.endpoints import Endpoint, PublishedPort
from watchd.model.objects.image import FormerReference, Image, ImageClass, Layer
from watchd.model.objects.kinds import Key, Kind
from watchd.model.objects.logs import Log, Logs
from watchd.model.objects.network import Network
from watchd.model.objects.subject import Subject
from watchd.model.objects.volume import ANONYMOUS_VOLUME, Volume, VolumeClass
from watchd.model.view import Disk, EngineView, Listing

__all__ = [
    "ANONYMOUS_VOLUME",
    "COMPOSE_PROJECT",
    "COMPOSE_SERVICE",
    "SWARM_SERVICE",
    "SWARM_TASK",
    "UNKNOWN_ENGINE",
    "Amount",
    "CacheRecord",
    "Container",
    "ContainerSize",
    "Disk",
    "DiskUsage",
    "Endpoint",
    "EngineInfo",
    "EngineView",
    "Event",
    "Exit",
    "FormerReference",
    "Image",
    "ImageClass",
    "ImageUsage",
    "Key",
    "Kind",
    "Layer",
    "Limits",
    "Listing",
    "Log",
    "Logs",
    "Network",
    "Observation",
    "Observations",
    "Own",
    "PublishedPort",
    "References",
    "Regret",
    "Service",
    "Subject",
    "SwarmRole",
    "Uses",
    "Volume",
    "VolumeClass",
    "amount_as_json",
    "total",
]
