"""What folders take is what `du` says; links, mounts and odd names on the way."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.engine.deep.kinds import CONTAINERD, Rule, data_root
from watchd.engine.deep.walk import Inodes, Part, Tree, Usage, Walk
from watchd.kernel.parse.mountinfo import Mount

EVERYTHING = (Rule("*", "volume", named=True),)


def du(*paths: Path) -> int:
    done = subprocess.run(["du", "-sxc", "--block-size=1", *paths], check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1].split()[0])


def walked(root: Path, rules: Sequence[Rule] = EVERYTHING, walk: Walk | None = None) -> tuple[Usage, Tree]:
    walk = walk or Walk(())
    tree = walk.tree(root, rules)
    usage = Usage()
    usage.add(tree.folders)
    for part in tree.parts:
        usage.add(walk.part(tree, part))
    return usage, tree


def fill(root: Path) -> None:
    """Make what is found below a data root: links of both sorts, a sparse file, a pipe, odd names, deep folders."""
    (root / "a").mkdir()
    (root / "a/file").write_bytes(os.urandom(10_000))
    os.link(root / "a/file", root / "a/again")
    (root / "b").mkdir()
    os.link(root / "a/file", root / "b/linked")
    (root / "b/away").symlink_to("/usr")
    (root / "b/long").symlink_to("x" * 4000)
    with (root / "b/sparse").open("wb") as sparse:
        sparse.truncate(10**9)
        sparse.seek(5 * 10**8)
        sparse.write(b"x" * 8192)
    os.mkfifo(root / "b/pipe")
    (Path(os.fsdecode(os.fsencode(root) + b"/b/\xff\n name"))).mkdir()
    deep = root / "deep"
    for _ in range(60):
        deep = deep / "further"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x" * 5000)


def test_the_sum_is_what_du_says(tmp_path: Path) -> None:
    fill(tmp_path)
    usage, tree = walked(tmp_path)
    assert usage.size == du(tmp_path)
    assert usage.files == sum(1 for _ in tmp_path.rglob("*")) + 1 - 2, "hard links count once"
    assert {part.name for part in tree.parts} == {"a", "b", "deep"}


def test_a_file_that_two_roots_link_to_counts_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one/file").write_bytes(b"x" * 50_000)
    os.link(tmp_path / "one/file", tmp_path / "two/file")
    walk = Walk(())
    sums = [walked(tmp_path / name, walk=walk)[0].size for name in ("one", "two")]
    assert sum(sums) == du(tmp_path / "one", tmp_path / "two")


def test_what_is_mounted_is_not_entered_and_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    before = walked(tmp_path)[0].size
    mounts = [
        Mount("8:1", "/x", f"{tmp_path}/b", "ext4", "/dev/sda1", frozenset()),
        Mount("8:1", "/", f"{tmp_path}/deep/further/further", "ext4", "/dev/sda1", frozenset()),
    ]
    walk = Walk(mounts)
    usage, _ = walked(tmp_path, walk=walk)
    assert walk.crossed == {f"{tmp_path}/b", f"{tmp_path}/deep/further/further"}
    inside = du(tmp_path / "deep/further/further") + du(tmp_path / "b") - du(tmp_path / "a/file") - 4096
    assert before - usage.size == pytest.approx(inside, abs=2 * 4096)


def test_another_file_system_is_not_entered_though_its_mount_is_not_known() -> None:
    walk = Walk(())
    tree = walk.tree(Path("/"), (Rule("proc", "engine", named=True), Rule("*", (), named=True)))
    usage = walk.part(tree, Part("engine", "proc", "proc"))
    assert usage.files == 1, "the mount point itself"
    assert "/proc" in {point.replace("//", "/") for point in walk.crossed}


def test_what_has_gone_takes_nothing(tmp_path: Path) -> None:
    fill(tmp_path)
    walk = Walk(())
    tree = walk.tree(tmp_path, EVERYTHING)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    (part,) = [part for part in tree.parts if part.name == "a"]
    assert walk.part(tree, part) == Usage()
    assert walk.unread == 0


def test_a_folder_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    fill(tmp_path)
    walk = Walk(())
    tree = walk.tree(tmp_path, EVERYTHING)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    (tmp_path / "a").symlink_to("/usr")
    (part,) = [part for part in tree.parts if part.name == "a"]
    assert walk.part(tree, part).files == 1, "the link itself"


def test_progress_is_told_while_a_large_part_is_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchd.engine.deep.walk._TELL_EVERY", 20)
    fill(tmp_path)
    walk, told = Walk(()), list[int]()
    walk.on_files = lambda: told.append(walk.files)
    walked(tmp_path, walk=walk)
    assert len(told) >= 3
    assert told == sorted(told)


@given(st.sets(st.integers(0, 10**7)))
def test_each_inode_is_new_once(numbers: set[int]) -> None:
    inodes = Inodes()
    assert all(inodes.add(number) for number in numbers)
    assert not any(inodes.add(number) for number in numbers)
    assert all(inodes.add(number) for number in range(10**7 + 1, 10**7 + 50))


DOCKER = {
    "overlay2/abc/diff/etc/passwd": ("layer", "abc"),
    "overlay2/l/ABC": ("engine", ""),
    "aufs/diff/abc/x": ("leftover", "aufs"),
    "containers/123/123-json.log": ("log", "123"),
    "containers/123/123-json.log.2.gz": ("log", "123"),
    "containers/123/local-logs/container.log": ("log", "123"),
    "containers/123/config.v2.json": ("container", "123"),
    "volumes/data/_data/x": ("volume", "data"),
    "volumes/metadata.db": ("engine", ""),
    "buildkit/executor/resolv.conf": ("temporary", ""),
    "buildkit/cache.db": ("buildkit", ""),
    "swarm/raft/x": ("swarm", ""),
    "tmp/GetImageBlob1": ("temporary", ""),
    "image/overlay2/repositories.json": ("engine", ""),
    "engine-id": ("engine", ""),
    "containerd/daemon/io.containerd.content.v1.content/blobs/sha256/123": ("content", "sha256/123"),
    "containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots/12/fs/x": ("snapshot", "overlayfs/12"),
}
STORE = {
    "io.containerd.content.v1.content/blobs/sha256/123": ("content", "sha256/123"),
    "io.containerd.content.v1.content/ingest/123/data": ("download", "123"),
    "io.containerd.snapshotter.v1.native/snapshots/12/x": ("snapshot", "native/12"),
    "io.containerd.snapshotter.v1.overlayfs/metadata.db": ("engine", "overlayfs"),
    "io.containerd.metadata.v1.bolt/meta.db": ("engine", ""),
}


@pytest.mark.parametrize(
    ("paths", "rules"), [(DOCKER, data_root("overlay2")), (STORE, CONTAINERD)], ids=["docker", "containerd"]
)
def test_each_path_is_of_a_kind(paths: dict[str, tuple[str, str]], rules: Sequence[Rule], tmp_path: Path) -> None:
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    _, tree = walked(tmp_path, rules)
    for path, kind in paths.items():
        (part,) = [part for part in tree.parts if path == part.path or path.startswith(f"{part.path}/")]
        assert (part.kind, part.name) == kind, path


def test_without_a_graph_driver_what_one_had_is_left_over(tmp_path: Path) -> None:
    for path in ("overlay2/abc/diff", "image/overlay2"):
        (tmp_path / path).mkdir(parents=True)
    _, tree = walked(tmp_path, data_root(""))
    assert {(part.kind, part.name) for part in tree.parts} == {("leftover", "overlay2"), ("leftover", "image")}
