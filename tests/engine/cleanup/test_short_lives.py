"""Containers that come and go all the time do not pile up: `tests/soak/short_lives.py` in a short form."""

from pathlib import Path

import docker

from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, write_config
from tests.soak.short_lives import CLEANUP, ShortLives, there

ENOUGH = 30


def test_they_and_their_volumes_go_while_others_come(
    docker_client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    docker_client.volumes.create("kept")
    lives = ShortLives(clean_engine)
    most = 0

    def some_went_while_enough_came() -> bool:
        nonlocal most
        most = max(most, there(docker_client)[0])
        return ENOUGH <= sum(lives.started) > most

    # Volumes by themselves wait for longer, so that those of the first client go with their containers.
    policies = CLEANUP.format(schedule="1s", age="1s", unused="10s")
    with running(write_config(tmp_path, clean_engine.host, policies)) as daemon:
        with lives.under_way():
            wait_until(some_went_while_enough_came, seconds=120, what="containers to go while others come")
        wait_until(lambda: there(docker_client) == (0, 1), seconds=60, what="all of them and their volumes to go")
        wait_until(lambda: sum(removed(daemon)) == sum(lives.started), seconds=10, what="each volume to be counted")
        assert min(removed(daemon)) > 0, "some went with their containers, the others by themselves"


def removed(daemon: Daemon) -> tuple[float, float]:
    """Return how many volumes went with their containers, and how many by themselves."""
    along, alone = (
        daemon.value("watchd_prune_removed_total", kind="volume", policy=policy, reason=reason) or 0
        for policy, reason in (("with-volumes", "exited_too_long"), ("volumes", "unused_too_long"))
    )
    return along, alone
