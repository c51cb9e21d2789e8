"""What `du` shows below Docker's data can be explained: layers, logs, volumes."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.watchd_process import write_config

pytestmark = pytest.mark.newest(stores="both")
UNKNOWN = "f" * 64


@pytest.fixture
def client(clean_engine: Engine) -> Iterator[docker.DockerClient]:
    with closing(clean_engine.client()) as client:
        images.build(client, "lower:1", f"FROM {images.BASE}\nRUN echo lower > /lower\n")
        images.build(client, "upper:1", "FROM lower:1\nRUN echo upper > /upper\n")
        client.containers.run("upper:1", ["echo", "once"], name="web", detach=True, volumes=["data:/data"]).wait()
        yield client


def test_whose_they_are(clean_engine: Engine, client: docker.DockerClient, tmp_path: Path) -> None:
    config = write_config(tmp_path, clean_engine.host)
    root = clean_engine.data_root
    web = client.containers.get("web")

    def explained(reference: str) -> list[str]:
        result = watchd_here("explain", "-c", config, reference)
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()

    log = f"{root}/containers/{web.id}/{web.id}-json.log"
    assert explained(log)[0] == f"{log} is the log of a container:"
    assert explained(log)[2].startswith("container web (")
    hosts = f"{root}/containers/{web.id}/hosts"
    assert explained(hosts)[0] == f"{hosts} is a file of a container:"
    mounted = f"{root}/rootfs/overlayfs/{web.id}/etc"
    assert explained(mounted)[0] == f"{mounted} is the mounted file system of a container:"
    assert explained(mounted)[2].startswith("container web (")
    for none in (f"{root}/overlay2/948c", f"{root}/volumes/other/_data"):
        lost = watchd_here("explain", "-c", config, none)
        assert lost.returncode != 0
        assert f"'{none}' is not in a volume, a layer or the files of a container that exists" in lost.stderr
    file = f"{root}/volumes/data/_data/some/file"
    assert explained(file)[0] == f"{file} is data of a volume:"
    assert explained(file)[2].startswith("volume data stays: ")
    own: dict[str, Any] = web.attrs["GraphDriver"].get("Data") or {}
    if not own:
        lost = watchd_here("explain", "-c", config, f"{root}/overlay2/{UNKNOWN}")
        assert lost.returncode != 0
        assert "with containerd's image store the engine does not tell" in lost.stderr
        return
    writable = Path(own["UpperDir"]).parent
    assert explained(str(writable))[0] == f"{writable} is the writable layer of a container:"
    assert explained(writable.name)[2].startswith("container web (")
    layers = {tag: client.images.get(tag).attrs["GraphDriver"]["Data"]["UpperDir"] for tag in ("lower:1", "upper:1")}
    lower, upper = (Path(layers[tag]).parent for tag in ("lower:1", "upper:1"))
    assert explained(f"{lower}/diff/lower")[0] == f"{lower}/diff/lower is a layer of an image, of upper:1 as well:"
    assert explained(str(lower))[2].startswith("image lower:1 (")
    assert explained(upper.name)[0] == f"{upper.name} is a layer of an image:"
    nothing = watchd_here("explain", "-c", config, f"{root}/overlay2/{UNKNOWN}/diff")
    assert nothing.returncode != 0
    assert "no image and no container has the layer" in nothing.stderr
