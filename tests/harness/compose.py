"""Docker Compose as it is today, a plug-in for Docker: Debian's, from sid. bookworm's is its predecessor."""

import tempfile
from pathlib import Path

from tests.harness import debian

KEPT = debian.CACHE / "compose-sid"
PROGRAM = KEPT / "usr/libexec/docker/cli-plugins/docker-compose"


def ensure_compose() -> Path:
    """Return its path, downloading it once. It runs by itself, too. Raise UnavailableError where it cannot be had."""
    with debian.one_at_a_time(KEPT):
        if not KEPT.exists():
            with tempfile.TemporaryDirectory(prefix="compose-", dir=KEPT.parent) as name:
                root = Path(name) / "root"
                debian.unpack(["docker-compose"], "sid", root)
                root.rename(KEPT)  # in one step, so that what is there is whole
    return PROGRAM
