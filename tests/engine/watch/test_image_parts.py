"""Images for several platforms with attestations, in containerd's store."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.conftest import NEWEST
from tests.harness import oci
from tests.harness.command import watchd_here
from tests.harness.emptying import emptied
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import running, write_config


def test_the_parts_of_an_image_are_told(engines: Callable[[str], Engine], tmp_path: Path) -> None:
    engine = engines(NEWEST)
    config = write_config(tmp_path, engine.host)
    with emptied(engine), closing(engine.client()) as client:
        client.images.load(oci.archive("docker.io/library/multi:1", ["amd64", "arm64"]))
        explained = watchd_here("explain", "multi:1", "-c", config).stdout
        usage = json.loads(watchd_here("df", "--json", "-c", config).stdout)
        with running(config) as daemon:
            wait_until(lambda: daemon.get("/api/v1/usage")[0] == 200, seconds=60, what="sizes")
            parts = daemon.ask("/api/v1/explain?kind=image&ref=multi:1")["parts"]
    assert f"  parts: {parts['summary']}\n" in explained
    told = {each["platform"]: each for each in parts["list"] if each["kind"] == "image"}
    assert set(told) == {"linux/amd64", "linux/arm64"}
    assert told["linux/amd64"]["unpacked_bytes"] > 100_000
    assert told["linux/arm64"]["unpacked_bytes"] == 0 < told["linux/arm64"]["bytes"]
    about = {each["attests"] for each in parts["list"] if each["kind"] == "attestation"}
    assert about == {each["digest"] for each in told.values()}
    assert usage["kinds"]["image"]["other_platforms"] == {"linux/arm64": told["linux/arm64"]["bytes"]}
    assert [each["parts"] for each in usage["largest"] if each["name"] == "multi:1"] == [parts["list"]]
