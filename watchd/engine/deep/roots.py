"""Where the engine's data can be read here: Docker's root, and that of containerd with its database."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchd.config.schema.config import DataRoots
from watchd.engine.data.places import CONTAINERD_ROOT, SNAPSHOTS, Look
from watchd.engine.deep import database
from watchd.engine.deep.bolt import Torn
from watchd.engine.deep.containerd import Namespace, namespaces
from watchd.engine.deep.holders import DOCKER
from watchd.errors import EngineError

META = Path("io.containerd.metadata.v1.bolt/meta.db")


class DataNotSeen(EngineError):
    """The engine's data cannot be read here. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Directories to walk, without links. `containerd` may be inside `docker`; None: it is not known, `why` not."""

    docker: Path
    containerd: Path | None
    why: str = ""


def find(look: Look, named: DataRoots) -> Roots:
    """Find the roots. Raise `DataNotSeen` where Docker's cannot be read, or is not proven to be this engine's."""
    docker = _docker(look, named)
    try:
        return Roots(docker, _containerd(look, named, docker))
    except DataNotSeen as error:
        if look.engine.store == "containerd":
            raise
        return Roots(docker, None, str(error))  # with a graph driver there is nothing of Docker's in it, as a rule


def _docker(look: Look, named: DataRoots) -> Path:
    root = named.docker or Path(look.engine.root_dir or "/nowhere")
    if not _is_readable(root):
        raise DataNotSeen(
            f"{root} is not here: run `watchd df --deep` on the engine's host; in a container, mount it"
            f" (-v {look.engine.root_dir}:{look.engine.root_dir}:ro)"
        )
    if named.docker is None and not look.has_files(os.fspath(root)):
        raise DataNotSeen(f"{root} is not proven to be this engine's: set engine.data_roots.docker")
    return root.resolve()


def _containerd(look: Look, named: DataRoots, docker: Path) -> Path | None:
    """Return the root of the containerd that has this engine's data; None where a graph driver has all of it."""
    tried = list(dict.fromkeys(_candidates(look, named, docker)))
    unreadable = []
    for root in tried:
        try:
            there = _is_readable(root) and (root / META).is_file()
        except (PermissionError, DataNotSeen):
            unreadable.append(str(root))
            continue
        if there and (root == named.containerd or root.is_relative_to(docker) or _is_engines(root, look)):
            return root.resolve()
    if look.engine.store != "containerd":
        return None
    if unreadable:
        raise DataNotSeen(_as_root(unreadable[0]))
    raise DataNotSeen(
        "the root of containerd, which has the images, is not known: start a container, or set"
        f" engine.data_roots.containerd; in a container, mount it too (-v {CONTAINERD_ROOT}:{CONTAINERD_ROOT}:ro)"
    )


def _candidates(look: Look, named: DataRoots, docker: Path) -> Iterator[Path]:
    if named.containerd is not None:
        yield named.containerd
    upper = look.upperdir()
    if upper and SNAPSHOTS in upper:
        yield Path(upper.partition(SNAPSHOTS)[0])
    yield docker / "containerd" / "daemon"
    yield CONTAINERD_ROOT


def _is_engines(root: Path, look: Look) -> bool:
    """Return whether a containerd has something that this engine lists, or might be its: neither has anything."""
    try:
        spaces = [space for space in namespaces(database.read(root / META)) if space.name == DOCKER]
    except (OSError, Torn):
        return False
    listed = {image.id for image in look.images} | {container.id for container in look.containers}
    return any(not listed or listed & _known(space) for space in spaces)


def _known(space: Namespace) -> set[str]:
    return {digest for _, digest in space.images.values()} | {lease.id for lease in space.leases}


def _is_readable(root: Path) -> bool:
    """Return whether a directory is there. Raise `DataNotSeen` where this user may not read it."""
    try:
        with os.scandir(root):
            return True
    except PermissionError:
        raise DataNotSeen(_as_root(str(root))) from None
    except OSError:
        return False


def _as_root(root: str) -> str:
    return (
        f"{root} is for root alone: run `sudo watchd df --deep`; in a container, with user 0 and"
        " the capability DAC_READ_SEARCH"
    )
