"""What a walk found, as text and JSON."""

from tests.unit.cleanup.builders import NOW, disk
from watchd.cleanup.report.disk.deep import deep_as_json, deep_table
from watchd.engine.deep.holders import Held
from watchd.engine.deep.usage import DeepUsage, Shares, WalkedDisk
from watchd.engine.deep.walk import Usage

PULL = "under way, or cut short: goes when its lease ends; docker image prune ends all of them, and pulls fail"


def usage(**changes: object) -> DeepUsage:
    shares = Shares()
    for number in range(7):
        shares.add("snapshot", Usage(1000 * number, 10), f"overlayfs/{number}", f"app:{number}", Held("image", "x"))
    shares.add("content", Usage(500_000, 1), "sha256/a", "1-ab", Held("pull", "1-ab", NOW + 3600))
    shares.add("content", Usage(100, 1), "sha256/b", "2-ab", Held("pull", "2-ab", NOW + 60))
    shares.add("log", Usage(2000, 1), "c" * 64, "web")
    shares.add("log", Usage(3000, 1), "c" * 64, "web")
    shares.add("engine", Usage(10, 1))
    shares.add("swarm", Usage(0, 1))
    return DeepUsage(
        taken_at=NOW,
        roots=("/var/lib/docker", "/var/lib/containerd"),
        shares=shares.all(),
        disks=(WalkedDisk(disk(600_000), 526_110, "/var/lib"),),
        files=77,
        seconds=1.25,
        **changes,  # type: ignore[arg-type]
    )


def test_a_row_for_each_kind_and_holder_and_what_to_do_about_what_counts() -> None:
    assert list(deep_table(usage(elsewhere=("/var/lib/docker/volumes/nfs/_data",), notes=("2 folders",)))) == [
        "DATA                  HELD BY                 SIZE   COUNT  LARGEST",
        "content               pulls, loads or pushes  500kB  2      1-ab 500kB, 2-ab 100B",
        "snapshots             images                  21kB   7      app:6 6kB, app:5 5kB, app:4 4kB",
        "container logs                                5kB    1      web 5kB",
        "the engine's records                          10B    1",
        "",
        f"content held by pulls, loads or pushes: {PULL} (the last ends in 1h)",
        "snapshots held by images: goes with its images: docker image rm, or a policy for images",
        "",
        "/var/lib/docker: 600kB used, 526kB of it found here",
        "  73.9kB is outside: other files on /var/lib, and deleted ones that are still open",
        "",
        "On other disks, not walked: /var/lib/docker/volumes/nfs/_data",
        "",
        "77 files in 1.2 s",
        "Note: 2 folders",
    ]


def test_the_json_has_all_of_it() -> None:
    told = deep_as_json(usage())
    content, snapshots, log, engine, swarm = told["data"]
    assert (content["kind"], content["holder"], content["bytes"], content["files"]) == ("content", "pull", 500_100, 2)
    assert content["held_until"] == "2027-01-15T09:00:00Z"
    assert [each["name"] for each in snapshots["largest"]] == [f"app:{number}" for number in (6, 5, 4, 3, 2)]
    assert (log["holder"], log["count"], log["largest"]) == (None, 1, [{"name": "web", "bytes": 5000}])
    assert (engine["advice"], swarm["bytes"]) == ("", 0)
    assert told["disks"] == [
        {"path": "/var/lib/docker", "mounted_on": "/var/lib", "used": 600_000, "walked": 526_110, "outside": 73_890}
    ]
