"""Docker's plug-ins as they are today, Debian's from sid: Compose (bookworm's is its predecessor), and buildx."""

from pathlib import Path

from tests.harness import debian

_FOLDER = "usr/libexec/docker/cli-plugins"


def ensure_compose() -> Path:
    """Return the path of Compose, downloading it once. Raise UnavailableError where it cannot be had."""
    return debian.unpacked(["docker-compose"], "compose") / _FOLDER / "docker-compose"


def ensure_buildx() -> Path:
    """Return the path of buildx, downloading it once. Raise UnavailableError where it cannot be had."""
    return debian.unpacked(["docker-buildx"], "buildx") / _FOLDER / "docker-buildx"
