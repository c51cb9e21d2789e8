"""The sums of `watchd df`, and its unknown values."""

from dataclasses import replace
from typing import Any

from tests.unit.cleanup.builders import (
    ENGINE,
    EXITED,
    anonymous,
    cleanup,
    container,
    disk,
    disks,
    image,
    plan,
    record,
    running,
    view,
)
from watchd.cleanup import report
from watchd.cleanup.report.disk.usage import MOST_LARGEST, AccountedDisk, Claim, Row, UsageReport, usage_report
from watchd.model import Amount, ImageUsage, Layer, Log, Logs, Subject

REPORTED = {**EXITED, "name": "later", "mode": "report", "select": {"name": ["b"]}}
IMAGES = ImageUsage(layers=1000, unique={image("app").id: 300, image("other").id: 200})


def test_each_kind_is_added_up_and_what_policies_would_take_told_by_mode() -> None:
    jobs = (container("a", size_rw=5), container("b", size_rw=7), running("web", size_rw=1))
    step, shared = record("step", size=40), record("shared", size=60, shared=True)
    look = view(*jobs, image("app"), image("other"), step, shared, anonymous("v", size=9), disks=disks(disk(5000)))
    first = {**EXITED, "select": {"name": ["a"]}}
    usage = usage_report(look, IMAGES, plan(look, cleanup(first, REPORTED)))
    assert {kind: (each.count, each.total) for kind, each in usage.kinds.items()} == {
        "container": (3, Amount(13)),
        "image": (2, Amount(1000)),
        "network": (0, Amount(0)),
        "volume": (1, Amount(9)),
        "build_cache": (2, Amount(40)),
        "builder": (0, Amount(0)),
        "log": (0, Amount(0)),
    }
    assert usage.kinds["image"].shared == 500
    containers = usage.kinds["container"]
    assert (containers.enforced, containers.reported) == (
        {"exited": Claim(1, Amount(5))},
        {"later": Claim(1, Amount(7))},
    )
    assert containers.reclaimable == Claim(2, Amount(12))
    rows: tuple[Row, ...] = ("container", "image", "volume", "build_cache", "builder")
    assert usage.disks == (AccountedDisk(look.disks["image"], 1062, rows),)
    assert usage.disks[0].unaccounted == 3938
    assert "later (only reports): 1, 7B" in "\n".join(report.usage_table(usage))


def on_containerd(layers: int, *subjects: Subject, **changes: Any) -> UsageReport:
    engine = replace(ENGINE, store="containerd", storage_driver="overlayfs")
    look = replace(view(*subjects, **changes), engine=engine)
    return usage_report(look, ImageUsage(layers=layers, unique={}), plan(look, cleanup(EXITED)))


def test_layers_that_no_image_has_are_told_from_what_images_cache_and_containers_leave_of_the_total() -> None:
    base, step = Layer("base", 2_000_000, 0), Layer("step", 3_000_000, 0)
    subjects = (
        image("base", size=2_500_000, history=(base,)),
        image("app", size=6_000_000, history=(base, step)),
        record("kept", size=4_000_000),
        container("a", size_rw=1_000_000),
    )
    accounted = 5_000_000 + 500_000 + 1_000_000 + 4_000_000 + 1_000_000 + 64 * 1024
    usage = on_containerd(accounted + 164_000_000, *subjects)
    assert usage.kinds["image"].without_image == 164_000_000
    assert usage.as_json()["kinds"]["image"]["without_image"] == 164_000_000
    assert "layers that no image has: at least 164MB; `watchd df --deep` tells who holds them" in list(
        report.usage_table(usage)
    )
    for rounding in (999_999, -1, -5_000_000):
        usage = on_containerd(accounted + rounding, *subjects)
        assert usage.kinds["image"].without_image == 0
        assert "layers that no image has" not in "\n".join(report.usage_table(usage))


def test_layers_that_no_image_has_are_not_told_where_the_total_is_not_of_all_or_something_is_not_known() -> None:
    look = view(image("app", size=10))
    usage = usage_report(look, ImageUsage(10**9, {}), plan(look, cleanup(EXITED)))
    assert usage.kinds["image"].without_image == 0, "a graph driver"
    assert on_containerd(10**9, container("a", size_rw=None)).kinds["image"].without_image == 0
    assert on_containerd(10**9, failures={"build_cache": "403"}).kinds["image"].without_image == 0


def test_layers_of_ambiguous_images_may_be_of_each_for_itself() -> None:
    """Two layers of the same size on one of 0 bytes, or one layer below one of 0 bytes: the digests tell no more."""
    step = Layer("COPY app", 2_000_000, 1, empty_below=1, empty_above=1)
    images = [image(name, size=2_000_000, history=(step,), layers=("common", name)) for name in ("one", "two")]
    assert on_containerd(4_000_000, *images).kinds["image"].without_image == 0
    assert on_containerd(9_000_000, *images).kinds["image"].without_image == 5_000_000


def test_the_largest_are_told_by_what_they_alone_take() -> None:
    many = [container(f"c{number}", size_rw=number) for number in range(40)]
    big = image("big", size=1000, shared_size=400)
    look = view(*many, big, anonymous("v", size=700), anonymous("empty", size=0))
    largest = usage_report(look, None, plan(look, cleanup(EXITED))).as_json()["largest"]
    assert [(each["kind"], each["bytes"]) for each in largest[:3]] == [
        ("volume", 700),
        ("image", 600),
        ("container", 39),
    ]
    assert sum(each["kind"] == "container" for each in largest) == MOST_LARGEST
    assert len(largest) == MOST_LARGEST + 2


def test_a_large_volume_is_told_with_the_containers_that_it_is_mounted_in() -> None:
    data = anonymous("data", size=700)
    look = view(container("b", volumes=(data.name,)), container("a", volumes=(data.name,)), container("c"), data)
    (volume, *others) = usage_report(look, None, plan(look, cleanup(EXITED))).as_json()["largest"]
    assert volume["mounted_in"] == ["a", "b"]
    assert all(each["mounted_in"] == [] for each in others)


def test_what_was_not_told_is_unknown_and_so_is_what_it_is_added_to() -> None:
    odd = container("a", size_rw=None)
    look = view(odd, container("b", size_rw=5), anonymous("v", size=9), disks=disks(disk(5000)))
    usage = usage_report(look, None, plan(look, cleanup(EXITED)))
    assert usage.kinds["container"].total == Amount(5, at_least=True)
    assert usage.kinds["container"].reclaimable == Claim(2, Amount(5, at_least=True))
    assert "at least 5B (2)" in "\n".join(report.usage_table(usage))
    told = usage.as_json()["kinds"]["container"]
    assert (told["total"], told["at_least"]) == (5, True)
    assert told["reclaimable"] == {"count": 2, "bytes": 5, "at_least": True}
    assert usage.kinds["image"].total is None
    assert usage.disks[0].unaccounted is None
    assert usage.as_json()["disks"][0]["accounted"] is None
    assert "unknown" in "\n".join(report.usage_table(usage))


def test_a_list_that_failed_is_not_taken_for_an_empty_one() -> None:
    look = view(failures={"volume": "403"})
    assert usage_report(look, IMAGES, plan(look, cleanup(EXITED))).kinds["volume"].total is None


def test_a_disk_that_is_not_known_is_named_with_its_kinds() -> None:
    look = view(unmeasured={"image": "no mount of it", "build_cache": "no mount of it", "volume": "it is elsewhere"})
    usage = usage_report(look, IMAGES, plan(look, cleanup(EXITED)))
    lines = list(report.usage_table(usage))
    assert "No disk pressure for images and build cache records: no mount of it" in lines
    assert "No disk pressure for volumes: it is elsewhere" in lines
    assert usage.as_json()["unmeasured"]["volume"] == "it is elsewhere"


LOG = Log("json-file", limit=0)


def test_logs_are_a_row_of_their_own_and_go_with_their_containers() -> None:
    jobs = (container("a", size_rw=5, log=LOG, log_size=100), container("b", size_rw=7, log=LOG, log_size=0))
    look = view(*jobs, running("web", size_rw=1, log=LOG, log_size=30), container("syslog", size_rw=0))
    look = replace(look, disks=disks(disk(5000)), log_disk=disk(5000))
    usage = usage_report(look, IMAGES, plan(look, cleanup(EXITED)))
    logs, containers = usage.kinds["log"], usage.kinds["container"]
    assert (logs.count, logs.total, logs.reclaimable) == (3, Amount(130), Claim(1, Amount(100)))
    assert (containers.total, containers.reclaimable) == (Amount(13), Claim(3, Amount(12)))
    assert usage.disks[0].accounted == 1000 + 13 + 130
    assert usage.as_json()["kinds"]["log"]["total"] == 130
    lines = list(report.usage_table(usage))
    assert any(line.startswith("logs") and "130B" in line and "exited: 1, 100B" in line for line in lines)
    assert lines[-1].endswith(": other programs' files")


def test_logs_that_cannot_be_seen_are_unknown_and_the_rest_is_not() -> None:
    job = container("a", size_rw=5, log=LOG)
    look = view(job, disks=disks(disk(5000)), log_disk=disk(5000), logs=Logs(unknown="no permission"))
    usage = usage_report(look, IMAGES, plan(look, cleanup(EXITED)))
    assert usage.kinds["log"].total is None
    assert usage.disks[0].accounted == 1005
    assert list(report.usage_table(usage))[-1].endswith(": logs, other programs' files")


def test_logs_on_another_disk_are_accounted_for_there() -> None:
    job = container("a", size_rw=5, log=LOG, log_size=100)
    layers = disk(5000)
    look = view(job, disks=disks(layers), log_disk=replace(layers, path="/logs", used=300))
    usage = usage_report(look, IMAGES, plan(look, cleanup(EXITED)))
    assert [(each.disk.path, each.accounted) for each in usage.disks] == [("/logs", 100), ("/var/lib/docker", 1005)]
