"""Images that stand in for those of a registry, under their names: with the same program, as Debian builds it.

A Compose file needs of them: the program at the same path, the same user, busybox's wget.
"""

import shutil
import tempfile
from pathlib import Path

import docker

from tests.harness import images, rootfs
from tests.harness.install import PATH, UnavailableError, apt_install
from tests.harness.prometheus import ensure_prometheus

PROMETHEUS = """\
RUN mkdir /prometheus && chown 65534:65534 /prometheus
USER 65534:65534
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
"""
HAPROXY = """\
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"""


def prometheus(client: docker.DockerClient, tag: str) -> None:
    """Make one of prom/prometheus. Raise UnavailableError where there is no Prometheus and none can be had."""
    ensure_prometheus()
    _build(client, tag, "prometheus", PROMETHEUS)


def haproxy(client: docker.DockerClient, tag: str) -> None:
    """Make one of the official haproxy. Raise UnavailableError where there is no HAProxy and none can be had."""
    if shutil.which("haproxy", path=PATH) is None:
        apt_install(["haproxy"])
    _build(client, tag, "haproxy", HAPROXY)


def _build(client: docker.DockerClient, tag: str, name: str, instructions: str) -> None:
    program = shutil.which(name, path=PATH)
    if program is None:
        raise UnavailableError(f"{name} must be installed first; it is a package of Debian")
    images.load_base(client)
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        root = context / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy(program, root / "bin")
        rootfs.copy_libraries([Path(program)], root)
        (context / "Dockerfile").write_text(f"FROM {images.BASE}\nCOPY root /\n{instructions}")
        client.images.build(path=directory, tag=tag, rm=True)
