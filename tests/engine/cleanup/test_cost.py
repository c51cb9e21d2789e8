"""The order by cost on a real engine: what a registry has goes before what was built here."""

from contextlib import closing
from pathlib import Path

import docker

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.registry import ADDRESS, registry
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import plan_of, running, write_config
from watchd.store import Store

POLICY = """
grace = "0s"
mode = "enforce"
schedule = "30d"
[[cleanup.policies]]
name = "room"
kind = "image"
select.repository = ["built", "127.0.0.1:5000/*"]
pressure.total_above = "2B"
pressure.total_until = "1B"
pressure.order = "{order}"
"""


def order(config: Path) -> list[str]:
    """Return the names of what would go, in that order."""
    plan = plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json"))
    return [item["name"] for item in plan["items"] if item["action"] == "remove"]


def use(client: docker.DockerClient, store: Store) -> None:
    """Pull and run the image, until the timeline has it."""
    images.pull(client, f"{ADDRESS}/pulled", "1")
    client.containers.run(f"{ADDRESS}/pulled:1", ["true"], remove=True)
    engine, image = client.info()["ID"], ("image", client.images.get(f"{ADDRESS}/pulled:1").id)
    wait_until(
        lambda: image in store.image_runs(engine, since=0, now=0, pause=0), seconds=20, what="the run to be on record"
    )


def test_what_was_built_here_goes_last_though_it_was_used_before_the_others(
    clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    (tmp_path / "registry").mkdir()
    files = {}
    for name in ("lru", "cost"):
        (tmp_path / name).mkdir()
        files[name] = write_config(tmp_path / name, clean_engine.host, POLICY.format(order=name))
    with registry(clean_engine, tmp_path / "registry") as hub:
        for name in ("built", "pulled"):
            images.build(docker_client, f"{name}:1", f"FROM {images.BASE}\nCOPY f /{name}\n", {"f": name.encode()})
        hub.push(docker_client, "pulled:1", "pulled", "1")
        docker_client.images.remove("pulled:1")
        for file in files.values():
            with running(file), closing(Store.open(file.parent / "state")) as store:
                use(docker_client, store)
    assert order(files["lru"]) == ["built:1", f"{ADDRESS}/pulled:1"]
    assert order(files["cost"]) == [f"{ADDRESS}/pulled:1", "built:1"]
    assert "the cheapest to get again first" in watchd_here("prune", "-c", files["cost"], "--dry-run").stdout
