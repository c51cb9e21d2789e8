"""A newer Docker than this machine's distribution has: Debian's, from sid. runc is the machine's own."""

from collections.abc import Mapping

from tests.harness import debian, install

# daemon.json of an engine that keeps images in containerd's store, which is Docker 29's default, or in a graph driver.
CONTAINERD_STORE = {"features": {"containerd-snapshotter": True}}
GRAPH_DRIVER = {"features": {"containerd-snapshotter": False}, "storage-driver": "overlay2"}


def environment() -> Mapping[str, str]:
    """Return what `Engine.start` takes as `environment` for it, downloading it once.

    Raise UnavailableError where it cannot be had.
    """
    install.ensure_engine()
    programs = debian.unpacked(["docker.io", "containerd"], "docker")
    return {"PATH": f"{programs}/usr/sbin:{programs}/usr/bin:{install.PATH}"}
