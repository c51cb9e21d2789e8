"""The source "auto": cgroups where they show the engine's containers, else the engine's API."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from watchd.metrics.sources.source import Reading, Source
from watchd.model import Container

_log = logging.getLogger(__name__)


class AutoSource:
    """Try cgroups with the first running containers, and choose once: cgroups if most of them can be read.

    An engine's address does not tell where its containers run: behind a local socket it may be in a virtual machine, as
    Docker Desktop's, or in another PID namespace; behind TCP it may be here. `own` is the ID of the container that this
    process runs in, which it always sees; None: it runs in none. `has_cgroups`: whether the engine gives containers
    cgroups at all.
    """

    def __init__(self, cgroup: Source, api: Source, own: str | None, has_cgroups: Callable[[], bool]) -> None:
        self._cgroup = cgroup
        self._api = api
        self._own = own
        self._has_cgroups = has_cgroups
        self._chosen: Source | None = None

    @property
    def name(self) -> str:
        """The chosen source's; "cgroup" before one was chosen."""
        return (self._chosen or self._cgroup).name

    @property
    def errors(self) -> Counter[str]:
        """The chosen source's."""
        return (self._chosen or self._cgroup).errors

    @property
    def durations(self) -> Mapping[str, float]:
        """Those of the chosen source."""
        return (self._chosen or self._cgroup).durations

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        """Read the running ones of `containers`, as `Source` says."""
        if self._chosen is not None:
            return self._chosen.read(containers, now)
        if not self._has_cgroups():
            self._choose(self._api, "the engine tells of no cgroups of their own, so at most their network is known")
            return self._api.read(containers, now)
        before = self._cgroup.errors["cgroup"]
        readings = self._cgroup.read(containers, now)
        failures = self._cgroup.errors["cgroup"] - before  # containers that have ended are no failures
        successes = len(readings.keys() - {self._own})
        if successes > failures:
            self._choose(self._cgroup, "their cgroups can be read")
        elif failures:
            self._choose(self._api, "their cgroups cannot be read here")
            return self._api.read(containers, now)
        elif not successes and any(one.is_running and one.id != self._own for one in containers):
            return self._api.read(containers, now)  # none of their cgroups is here: not yet, not any more, or never
        return readings

    def close(self) -> None:
        """Close both."""
        self._cgroup.close()
        self._api.close()

    def _choose(self, source: Source, why: str) -> None:
        self._chosen = source
        (self._api if source is self._cgroup else self._cgroup).close()
        _log.info("the metrics of containers come from the source %s: %s", source.name, why)
