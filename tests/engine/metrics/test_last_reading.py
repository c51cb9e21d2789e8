"""The last reading of an engine's containers."""

from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.waiting import wait_until
from tests.unit.metrics.exits.test_last_reading import reading_all
from watchd.kernel.cgroup_paths import Hierarchy


@pytest.mark.usefixtures("clean_engine")
def test_containers_of_an_engine_are_read_however_short(docker_client: docker.DockerClient) -> None:
    """Ten in a row are. On a busy machine the engine may remove a cgroup first; the daemon counts those."""
    hierarchy = Hierarchy.read(Path("/proc"))
    if hierarchy.unified is None:
        pytest.skip("there is no cgroup v2 tree here")
    ids: list[str] = []
    with reading_all(hierarchy) as (_, readings):  # also of containers of other engines

        def live() -> bool:
            container = docker_client.containers.run(images.BASE, ["true"], detach=True)
            container.wait()
            ids.append(str(container.id))
            return len(ids) >= 10 and all(readings.of(each) for each in ids[-10:])

        wait_until(live, seconds=60, what="the readings of ten in a row")

    for container_id in ids:
        for reading in readings.of(container_id):
            assert reading.cpu is not None
            assert 0 < reading.cpu < 1
            assert reading.memory_peak is None or reading.memory_peak > 0
        assert len(readings.of(container_id)) <= 1
