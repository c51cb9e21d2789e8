"""A newer Docker than this machine's distribution has: Debian's, from sid. runc is the machine's own."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.harness import debian, install

PROGRAMS = debian.CACHE / "docker-sid"
PACKAGES = ("docker.io", "containerd")

# daemon.json of an engine that keeps images in containerd's store, which is Docker 29's default.
CONTAINERD_STORE = {"features": {"containerd-snapshotter": True}}


def environment() -> Mapping[str, str]:
    """Return what `Engine.start` takes as `environment` for it, downloading it once.

    Raise UnavailableError where it cannot be had.
    """
    install.ensure_engine()
    with debian.one_at_a_time(PROGRAMS):
        if not PROGRAMS.exists():
            with tempfile.TemporaryDirectory(prefix="docker-", dir=PROGRAMS.parent) as name:
                root = Path(name) / "root"
                debian.unpack(PACKAGES, "sid", root)
                root.rename(PROGRAMS)  # in one step, so that what is there is whole
    return {"PATH": f"{PROGRAMS}/usr/sbin:{PROGRAMS}/usr/bin:{install.PATH}"}
