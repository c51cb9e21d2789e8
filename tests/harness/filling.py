"""Fill the small disk of an engine with images, and have watchd make room on it."""

import json
import os
from pathlib import Path
from typing import Any

import docker

from tests.harness import images

MEBIBYTE = 1024 * 1024
EACH = 24 * MEBIBYTE
NAME = "filler"


def used_percent(path: Path) -> float:
    """Return Use% of `df`."""
    of = os.statvfs(path)
    return 100 * (of.f_blocks - of.f_bfree) / (of.f_blocks - of.f_bfree + of.f_bavail)


def fill(client: docker.DockerClient, count: int = 2) -> None:
    """Build images of 24 MiB that nobody uses, named `filler`."""
    for number in range(count):
        images.build(client, f"{NAME}:{number}", f"FROM {images.BASE}\nCOPY f /f\n", {"f": os.urandom(EACH)})


def left(client: docker.DockerClient) -> list[str]:
    """Return which of them are there."""
    return sorted(tag for image in images.listed(client, NAME) for tag in image["RepoTags"])


def policy(high: float, low: float) -> dict[str, Any]:
    """Return the environment of a watchd that takes them between these shares of the disk, in percent."""
    pressure = {"high": f"{high:.2f}%", "low": f"{low:.2f}%"}
    room = {"name": "room", "kind": "image", "select": {"repository": [NAME]}, "pressure": pressure}
    return {
        "WATCHD_CLEANUP__MODE": "enforce",
        "WATCHD_CLEANUP__GRACE": "0s",
        "WATCHD_CLEANUP__POLICIES": json.dumps([room]),
    }
