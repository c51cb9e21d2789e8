"""The base of builds, on real engines: a build is a use of it, and it goes once nobody builds on it."""

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import plan_of, running, write_config
from watchd.cleanup.observe.lineage import Lineage
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.engine.layers import with_layers
from watchd.model import EngineView, Observation
from watchd.store import Store

HOUR = 3600.0
POLICY = """
mode = "enforce"
grace = "0s"
count_unwatched = true
[[cleanup.policies]]
name = "unused"
kind = "image"
select.reference = ["corp/*"]
when.unused_for = "1h"
"""

pytestmark = pytest.mark.newest(stores="both")


class Host:
    """An engine with an image that only builds use, and what watchd has on record of it."""

    def __init__(self, engine: Engine, client: docker.DockerClient, directory: Path) -> None:
        self._engine = engine
        self._client = client
        self._engine_id = str(client.info()["ID"])
        self._state = directory / "state"
        self.config = write_config(directory, engine.host, POLICY)
        self.build("corp/base:local", f"FROM {images.BASE}\nRUN echo base > /base\n")

    def build(self, tag: str, dockerfile: str) -> None:
        images.build_with_buildkit(self._engine.host, dockerfile, "--tag", tag)

    def build_with_event(self, tag: str, dockerfile: str) -> None:
        """Build, and tag the result once more where buildx leaves no event: Docker before 23."""
        self.build(tag, dockerfile)
        if str(self._client.api.api_version) < "1.42":
            self._client.images.get(tag).tag(tag)

    @property
    def base(self) -> Observation | None:
        with closing(Store.open(self._state)) as store:
            known = store.observations(self._engine_id)
        return known.get(("image", str(self._client.images.get("corp/base:local").id)))

    def was_just_used(self) -> bool:
        """Return whether a use was recorded since `age`, and nothing but a use."""
        seen = self.base
        return seen is not None and max(seen.first_seen, seen.arrived_at) < time.time() - HOUR < (seen.last_used or 0)

    def age(self) -> None:
        """Make what is on record two hours older."""
        with closing(Store.open(self._state)) as store:
            store._connection.execute(
                "UPDATE observation SET first_seen = first_seen - :by, arrived_at = arrived_at - :by,"
                " last_used = last_used - :by",
                {"by": 2 * HOUR},
            )

    def verdict(self, *options: str) -> str:
        """Return the verdict on the base."""
        result = watchd_here("prune", "-c", self.config, "--json", *(options or ("--dry-run",)))
        assert result.returncode == 0, result.stderr
        (verdict,) = [
            f"{item['action']} {item['reason']}"
            for item in plan_of(result)["items"]
            if item["name"] == "corp/base:local"
        ]
        return verdict

    def explained(self) -> Any:
        result = watchd_here("explain", "-c", self.config, "corp/base:local", "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def host(clean_engine: Engine, client: docker.DockerClient, tmp_path: Path) -> Host:
    return Host(clean_engine, client, tmp_path)


def test_the_base_of_builds_stays_while_there_are_any_and_goes_afterwards(host: Host) -> None:
    """What each build makes, another build replaces, and in the end it is the same once more."""
    with running(host.config):
        for content in ("first", "second", "second"):
            wait_until(lambda: host.base and host.base.layers, seconds=10, what="its layers")
            host.age()
            host.build_with_event("app:latest", f"FROM corp/base:local\nRUN echo {content} > /app\n")
            wait_until(host.was_just_used, seconds=10, what="the use of it")
        assert host.verdict("--yes") == "keep condition_not_met"
        builds = host.explained()["builds"]
        assert "app:latest" in builds["names"]
    host.age()
    assert host.verdict("--yes") == "remove unused_too_long"


def test_without_a_daemon_a_build_counts_from_the_look_that_finds_its_image(host: Host) -> None:
    assert host.verdict() == "keep condition_not_met", "it has only just been seen"
    host.age()
    assert host.verdict() == "remove unused_too_long"
    host.build("app:latest", "FROM corp/base:local\nLABEL a=b\n")
    assert host.verdict() == "keep condition_not_met"
    host.age()
    assert host.verdict() == "remove unused_too_long"


def test_a_stage_is_known_by_the_record_that_names_it(host: Host, client: docker.DockerClient) -> None:
    """It leaves no layers in the image, and before Docker 23 no record that names it."""
    host.verdict()
    host.age()
    host.build("app:latest", f"FROM {images.BASE}\nCOPY --from=corp/base:local /base /copied\n")
    records = wait_until(lambda: images.cache_records(client), seconds=10, what="the records of the build")
    told = any("--from=corp/base:local" in record["Description"] for record in records)
    assert host.verdict() == ("keep condition_not_met" if told else "remove unused_too_long")
    assert told or client.version()["Version"].startswith("20.")


def test_layers_agree_with_the_parents_of_the_classic_builder(
    clean_engine: Engine, client: docker.DockerClient
) -> None:
    steps = "".join(f"RUN echo {step} > /{step}\nLABEL step={step}\n" for step in "abc")
    images.build(client, "classic:1", f"FROM {images.BASE}\n{steps}")
    engine = EngineClient(EngineConfig(host=clean_engine.host), read_only=True)
    with closing(engine):
        view = with_layers(EngineView(engine.info(), 0.0, images=tuple(engine.images())), engine, ())
    lineage = Lineage()
    for image in view.images:
        lineage.add(image.key, image.layers or ())
    parents = {image.key: ("image", image.parent_id) for image in view.images if image.parent_id}
    assert all(parent in lineage.bases(image) for image, parent in parents.items())
    assert len(parents) >= 6 or view.engine.store == "containerd"
