"""Container logs: where they are, what bounds them, and what they take."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from watchd.engine.data.logs import log_path, measure
from watchd.engine.decode.logs import log_of
from watchd.engine.watch.log_watch import LogWatch
from watchd.engine.watch.mirror import Mirror
from watchd.model import Container, Log, Logs, Own

ID, OTHER = "a" * 64, "b" * 64
OUTSIDE = Own(in_container=False)
INSIDE = Own(in_container=True, container_id=OTHER)


def inspected(driver: str, options: Mapping[str, str] | None = None, path: str = "") -> dict[str, Any]:
    return {"LogPath": path, "HostConfig": {"LogConfig": {"Type": driver, "Config": options}}}


def container(log: Log | None, id_: str = ID) -> Container:
    return Container(id_, "web", "image", "sha256:1", "running", 1.0, log=log)


@pytest.mark.parametrize(
    ("driver", "options", "limit"),
    [
        ("json-file", None, 0),
        ("json-file", {}, 0),
        ("json-file", {"max-file": "3"}, 0),
        ("json-file", {"max-size": "10m"}, 10_000_000),
        ("json-file", {"max-size": "10m", "max-file": "3"}, 30_000_000),
        ("json-file", {"max-size": "1.5GB", "labels": "a"}, 1_500_000_000),
        ("json-file", {"max-size": "64KiB"}, 64_000),
        ("json-file", {"max-size": "a lot"}, None),
        ("json-file", {"max-size": "10m", "max-file": "many"}, None),
        ("local", None, 20 * 1024**2 * 5),
        ("local", {"max-size": "1m"}, 5_000_000),
        ("local", {"max-file": "2"}, 20 * 1024**2 * 2),
    ],
)
def test_the_limit_is_that_of_all_files_together(
    driver: str, options: Mapping[str, str] | None, limit: int | None
) -> None:
    log = log_of(inspected(driver, options))
    assert log is not None
    assert log.limit == limit


@pytest.mark.parametrize("driver", ["none", "journald", "syslog", "gelf", ""])
def test_drivers_without_a_file_have_no_log(driver: str) -> None:
    assert log_of(inspected(driver)) is None


def test_a_log_that_the_engine_names_is_one_whatever_its_driver() -> None:
    path = f"/home/me/containers/{ID}/userdata/ctr.log"
    log = log_of(inspected("k8s-file", None, path))
    assert log == Log("k8s-file", path, None)
    assert log_path(container(log), "/home/me") == path


def test_paths_that_the_engine_does_not_name_are_those_of_its_drivers() -> None:
    assert log_path(container(Log("local")), "/data") == f"/data/containers/{ID}/local-logs/container.log"
    assert log_path(container(Log("json-file")), "/data") == f"/data/containers/{ID}/{ID}-json.log"
    assert log_path(container(Log("json-file")), "") is None
    assert log_path(container(None), "/data") is None


def test_a_path_without_the_containers_id_could_be_anyones() -> None:
    assert log_path(container(Log("json-file", f"/data/containers/{OTHER}/{ID}-json.log")), "/data") is None


def written(root: Path, files: Mapping[str, int], id_: str = ID) -> None:
    for name, size in files.items():
        file = root / "containers" / id_ / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)


def test_rotated_files_count_and_others_do_not(tmp_path: Path) -> None:
    log = f"{ID}-json.log"
    written(tmp_path, {log: 100, f"{log}.1": 20, f"{log}.2.gz": 3, "config.v2.json": 5000, f"{log}x": 7000})
    (tmp_path / f"containers/{ID}/{log}.3").symlink_to(tmp_path / f"containers/{ID}/config.v2.json")
    assert measure([container(Log("json-file"))], str(tmp_path), OUTSIDE) == Logs({ID: 123})


def test_a_log_of_the_driver_local_has_a_folder_once_it_has_any(tmp_path: Path) -> None:
    written(tmp_path, {"config.v2.json": 5000})
    local = [container(Log("local"))]
    assert measure(local, str(tmp_path), OUTSIDE) == Logs({ID: 0})
    written(tmp_path, {"local-logs/container.log": 10, "local-logs/container.log.1.gz": 2})
    assert measure(local, str(tmp_path), OUTSIDE) == Logs({ID: 12})


def test_what_is_not_there_has_no_size_and_in_a_container_a_mount_would_help(tmp_path: Path) -> None:
    elsewhere = [container(Log("json-file")), container(Log("local"))]
    assert measure(elsewhere, str(tmp_path), OUTSIDE) == Logs()
    logs = measure(elsewhere, str(tmp_path), INSIDE)
    assert logs.sizes == {}
    assert logs.unknown.startswith(
        f"the sizes of container logs in {tmp_path}/containers are not known: mount it at the same"
    )


def denied_to(id_: str, call: Callable[[str], Any]) -> Callable[[str], Any]:
    def denied(path: str) -> Any:
        if id_ in str(path):
            raise PermissionError
        return call(path)

    return denied


def test_without_permission_there_is_no_size_and_what_would_help_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name in ("scandir", "lstat"):
        monkeypatch.setattr(os, name, denied_to(ID, getattr(os, name)))
    written(tmp_path, {f"{OTHER}-json.log": 9}, OTHER)
    mirror = Mirror()
    containers = tuple(container(Log("json-file", ""), id_) for id_ in (ID, OTHER))
    before = mirror.replace(containers=containers)
    mirror.replace(engine=replace(before.engine, root_dir=str(tmp_path)))
    watch = LogWatch(mirror)
    for _ in range(2):
        watch.measure()
    assert mirror.view.logs.sizes == {OTHER: 9}
    (told,) = caplog.messages
    assert told.startswith(f"the sizes of container logs in {tmp_path}/containers are not known: run watchd as root")


def test_the_view_changes_only_where_a_size_did(tmp_path: Path) -> None:
    written(tmp_path, {f"{ID}-json.log": 9})
    mirror = Mirror()
    path = str(tmp_path / f"containers/{ID}/{ID}-json.log")
    mirror.replace(containers=(container(Log("json-file", path)),))
    watch = LogWatch(mirror)
    watch.measure()
    assert mirror.view.logs == Logs({ID: 9})
    assert [each.log_size for each in mirror.view.sized().containers] == [9]
    version = mirror.view.version
    watch.measure()
    assert mirror.view.version == version


def test_where_folders_cannot_be_listed_files_are_looked_up_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "scandir", denied_to(str(tmp_path), os.scandir))
    log = f"{ID}-json.log"
    written(tmp_path, {log: 100, f"{log}.1": 20, f"{log}.2.gz": 3, f"{log}.9": 7000})
    assert measure([container(Log("json-file"))], str(tmp_path), OUTSIDE) == Logs({ID: 123})
    assert measure([container(Log("json-file"), OTHER)], str(tmp_path), OUTSIDE) == Logs({OTHER: 0}), "never started"
