"""Time during which watchd did not run: whether what happened then can still be told, on a real engine."""

import time
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import running, write_config
from watchd.model import Observation
from watchd.store import DATABASE, Store

HOUR = 3600.0


class Host:
    """A host whose daemon is stopped and started again."""

    def __init__(self, client: docker.DockerClient, engine: Engine, directory: Path) -> None:
        self.client = client
        self.engine_id = str(client.info()["ID"])
        self.directory = directory / "state"
        self.config = write_config(directory, engine.host, 'grace = "0s"')
        self.image = images.build(client, "app:1", f"FROM {images.BASE}\nLABEL a=b\n")

    def watch(self) -> Observation:
        """Run the daemon until it has looked, and return what is known of the image then."""
        before = self._watched_until()
        with running(self.config):
            wait_until(lambda: self._watched_until() > before, seconds=10, what="a look")
            self.client.containers.run(images.BASE, ["true"], remove=True)  # an event for it to go on from
            wait_until(lambda: self.observed(images.BASE).last_used is not None, seconds=10, what="that event")
        return self.observed("app:1")

    def observed(self, tag: str) -> Observation:
        with closing(Store.open(self.directory)) as store:
            known = store.observations(self.engine_id)
        return known.get(("image", str(self.client.images.get(tag).id)), Observation(0, 0))

    def age(self, seconds: float) -> None:
        """Make what is on record so much older: nobody watched for that long."""
        with closing(Store.open(self.directory)) as store:
            store._connection.execute(
                "UPDATE observation SET first_seen = first_seen - :by, arrived_at = arrived_at - :by,"
                " last_used = last_used - :by, dangling_since = dangling_since - :by",
                {"by": seconds},
            )
            store._connection.execute("UPDATE engine SET watched_until = watched_until - ?", (seconds,))

    def _watched_until(self) -> float:
        if not (self.directory / DATABASE).exists():
            return 0.0
        with closing(Store.open(self.directory)) as store:
            return store.watched_until(self.engine_id) or 0.0


@pytest.fixture
def host(client: docker.DockerClient, clean_engine: Engine, tmp_path: Path) -> Host:
    return Host(client, clean_engine, tmp_path)


def test_what_was_used_meanwhile_is_told_by_events_and_no_clock_loses_time(host: Host) -> None:
    first = host.watch()
    host.age(2 * HOUR)
    before = time.time()
    host.client.containers.run("app:1", ["true"], remove=True)
    after = host.watch()
    assert after.first_seen == pytest.approx(first.first_seen - 2 * HOUR, abs=1), "the time without watchd counts"
    assert after.last_used is not None
    assert after.last_used >= before - 1, "docker run --rm was seen all the same"


def test_when_the_engine_has_forgotten_the_time_does_not_count(host: Host) -> None:
    first, stopped = host.watch(), time.time()
    host.age(2 * HOUR)
    for _ in range(260):  # two events each, of 256 that an engine remembers; those of networks take long
        host.client.volumes.create("vol").remove()
    unwatched = time.time() - stopped
    after = host.watch()
    assert after.first_seen == pytest.approx(first.first_seen + unwatched, abs=60)


def test_when_the_engine_was_restarted_the_time_does_not_count(host: Host, clean_engine: Engine) -> None:
    first, stopped = host.watch(), time.time()
    host.age(2 * HOUR)
    clean_engine.restart()
    unwatched = time.time() - stopped
    after = host.watch()
    assert after.first_seen == pytest.approx(first.first_seen + unwatched, abs=60)


class TestDamage:
    """A database that is none any more."""

    @pytest.fixture
    def config(self, tmp_path: Path, clean_engine: Engine) -> Path:
        config = write_config(tmp_path, clean_engine.host, 'mode = "enforce"')
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / DATABASE).write_bytes(b"no database" * 1000)
        return config

    def test_the_daemon_moves_it_aside_says_so_and_watches(self, config: Path, tmp_path: Path) -> None:
        with running(config) as daemon:
            assert "is damaged" in daemon.log
            assert "counts as having just arrived" in daemon.log
        (aside,) = (tmp_path / "state").glob(f"{DATABASE}.damaged-*")
        assert aside.read_bytes() == b"no database" * 1000
        assert watchd_here("history", "-c", config).returncode == 0

    @pytest.mark.parametrize(
        ("command", "code"),
        [(["prune", "--yes"], 1), (["prune", "--dry-run"], 0), (["history"], 1), (["explain", images.BASE], 0)],
    )
    def test_commands_leave_it_alone_and_say_what_to_do(self, config: Path, command: list[str], code: int) -> None:
        database = config.parent / "state" / DATABASE
        result = watchd_here(*command, "-c", config)
        assert result.returncode == code, result.stderr
        if command[0] != "explain":
            assert f"{database} is damaged" in result.stderr
        assert "Traceback" not in result.stderr
        assert database.read_bytes() == b"no database" * 1000
