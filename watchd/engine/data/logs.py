"""Sizes of container logs, from the file system: a log is looked up, never opened."""

import os
import stat
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from watchd.model import Container, Logs, Own

_ABOUT = "docs/security.md tells what that opens"


def measure(containers: Iterable[Container], root_dir: str, own: Own) -> Logs:
    """Look up the logs of containers of the engine whose data is in `root_dir`."""
    sizes: dict[str, int] = {}
    unknown = ""
    for container in containers:
        path = log_path(container, root_dir)
        if path is None:
            continue
        folder, _, name = path.rpartition("/")
        try:
            sizes[container.id] = _size(folder, name)
        except PermissionError:
            unknown = unknown or _what_helps(container, folder, own, is_there=True)
        except OSError:
            if _is_empty_yet(container, folder):
                sizes[container.id] = 0
            elif own.in_container:
                unknown = unknown or _what_helps(container, folder, own, is_there=False)
    return Logs(sizes, unknown)


def log_path(container: Container, root_dir: str) -> str | None:
    """Return the path of the file that a log is written to, on the engine's host; None: it is not known.

    The path has the container's ID in it: a file there is that container's, whichever machine the engine is on.
    """
    log, id_ = container.log, container.id
    if log is None:
        return None
    path = log.path
    if not path and root_dir:
        name = "local-logs/container.log" if log.driver == "local" else f"{id_}-json.log"
        path = f"{root_dir}/containers/{id_}/{name}"
    return path if id_ in path.rpartition("/")[0] else None


def _size(folder: str, name: str) -> int:
    """Return the bytes of a file and of those that it was rotated to (".1", ".2.gz"). Raise OSError."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if entry.name == name or entry.name.startswith(f"{name}.")]
    except PermissionError:  # the group root may look files up in Docker's folders, and list none
        return _size_by_names(f"{folder}/{name}")
    return sum(_bytes(path) or 0 for path in found)


def _size_by_names(path: str) -> int:
    total = _bytes(path) or 0
    for number in count(1):
        rotated = [size for suffix in ("", ".gz") if (size := _bytes(f"{path}.{number}{suffix}")) is not None]
        if not rotated:
            break
        total += sum(rotated)
    return total


def _bytes(path: str) -> int | None:
    """Return the size of a file; None: there is none, for example since it was rotated away."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _is_empty_yet(container: Container, folder: str) -> bool:
    """Return whether a folder for the log alone is missing: a container that was never started has none."""
    around = Path(folder).parent
    return container.id in str(around) and around.is_dir()


def _what_helps(container: Container, folder: str, own: Own, *, is_there: bool) -> str:
    """Return which logs cannot be seen, and how to let watchd see them."""
    around = folder.partition(container.id)[0].rstrip("/")
    if own.in_container and not is_there:
        helps = f"mount it at the same path, read-only, and give watchd the group root ({_ABOUT})"
    elif own.in_container:
        helps = f"give watchd the group root; logs of the driver local are for the user root alone ({_ABOUT})"
    else:
        helps = f"run watchd as root, or with CAP_DAC_READ_SEARCH ({_ABOUT})"
    return f"the sizes of container logs in {around} are not known: {helps}"
