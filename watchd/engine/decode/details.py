"""The details of a container, from the Engine API's JSON. Pure."""

from collections.abc import Mapping
from typing import Any

from watchd.engine.decode import quirks
from watchd.engine.decode.containers import container_from_inspect
from watchd.engine.decode.fields import integer, list_of, table, tables, text, time_of
from watchd.model.objects.details import ContainerDetails, HealthCheck, Mount

_NANOSECONDS = 10**9
_DEFAULT_INTERVAL = 30.0  # seconds between health checks, where none is set


def details_from_inspect(raw: Any) -> ContainerDetails:
    """Return the details in `GET /containers/{id}/json`."""
    config, host = table(raw, "Config"), table(raw, "HostConfig")
    health = table(table(raw, "State"), "Health")
    check = table(config, "Healthcheck")
    command = _strings(check, "Test")
    interval = integer(check, "Interval") / _NANOSECONDS or _DEFAULT_INTERVAL
    return ContainerDetails(
        container=container_from_inspect(raw),
        command=tuple(filter(None, (text(raw, "Path"), *_strings(raw, "Args")))),
        working_directory=text(config, "WorkingDir"),
        user=text(config, "User"),
        mounts=tuple(_mount(each) for each in tables(raw, "Mounts")),
        max_retries=integer(table(host, "RestartPolicy"), "MaximumRetryCount"),
        log_driver=text(table(host, "LogConfig"), "Type"),
        health_command=command,
        health_interval=interval if command else None,
        failing_streak=integer(health, "FailingStreak"),
        health_checks=tuple(_health_check(each) for each in tables(health, "Log")),
    )


def _mount(raw: Mapping[str, Any]) -> Mount:
    type_ = text(raw, "Type")
    name = quirks.volume_name(raw) if type_ == "volume" else ""
    return Mount(type_, name, text(raw, "Source"), text(raw, "Destination"), raw.get("RW") is False)


def _health_check(raw: Mapping[str, Any]) -> HealthCheck:
    return HealthCheck(time_of(raw, "Start"), time_of(raw, "End"), integer(raw, "ExitCode"), text(raw, "Output"))


def _strings(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(each) for each in list_of(raw, key))
