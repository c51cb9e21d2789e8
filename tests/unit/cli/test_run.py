"""`watchd run` without an engine."""

from pathlib import Path

from tests.harness.ports import free_port
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import starting, watchd, write_config


def test_a_state_directory_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file" / "state", Path("/proc/watchd")):
        result = watchd("run", WATCHD_STATE__DIRECTORY=str(directory))
        assert result.returncode == 1
        assert f"the state directory {directory} cannot be written" in result.stderr


def test_an_engine_that_is_not_there_makes_it_not_ready_and_not_unhealthy(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"unix://{tmp_path}/nowhere.sock")
    with starting(config) as daemon:
        wait_until(lambda: "metrics at" in daemon.log, seconds=10, what="it to serve")
        asked = watchd("healthcheck", "-c", config)
    assert asked.returncode == 0
    assert asked.stdout.startswith("healthy, but not ready: ")


def test_a_daemon_that_listens_on_all_addresses_tells_a_url_that_works(tmp_path: Path) -> None:
    config, port = write_config(tmp_path, f"unix://{tmp_path}/nowhere.sock"), free_port()
    with starting(config, WATCHD_HTTP__LISTEN=f":{port}") as daemon:
        wait_until(lambda: "metrics at" in daemon.log, seconds=10, what="it to serve")
        assert f"metrics at http://localhost:{port}/metrics" in daemon.log
