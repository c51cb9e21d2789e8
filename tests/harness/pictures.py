"""`python -m tests.harness.pictures`: the pictures of the documents, of the page with some containers."""

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import docker
from docker.types import Healthcheck, Mount
from playwright.sync_api import ViewportSize

from tests import ROOT
from tests.harness import demo, images
from tests.harness.browser import browser
from tests.harness.engine import Engine, new_directory
from tests.harness.watchd_process import running, write_config

PICTURES = ROOT / "docs" / "pictures"
SIZE = ViewportSize(width=1400, height=860)
COURSE = 120.0  # seconds, for the graphs to show some
ONE = "shop-worker-1"  # whose details are shown
CLEANUP = """\
mode = "report"
grace = "0s"
schedule = "6h"
policies = [
    { name = "exited-containers", kind = "container", when = { finished_for = "12h" } },
    { name = "dangling-images", kind = "image", select = { class = ["dangling"] }, when = { dangling_for = "0s" } },
]
"""
WORKS = "while :; do dd if=/dev/urandom of=/tmp/x bs=64k count=$((RANDOM % {most})) 2>/dev/null; sleep 1; done"
HOLDS = "head -c {held} /dev/zero | tail | sleep 100000"
MB = 1_000_000
PASSES, FAILS = Healthcheck(test=["CMD", "true"]), Healthcheck(test=["CMD", "false"], interval=10**9, retries=1)
SERVICES: dict[str, dict[str, dict[str, Any]]] = {
    "shop": {
        "db": {
            "image": "postgres:16",
            "script": HOLDS.format(held=60 * MB),
            "mem_limit": "256m",
            "healthcheck": PASSES,
        },
        "worker": {"image": "shop/worker:2.3", "script": WORKS.format(most=300), "nano_cpus": 500_000_000},
    },
    "metrics": {
        "prometheus": {"image": "prom/prometheus:v3.0", "script": WORKS.format(most=40), "ports": {"9090/tcp": 9090}},
        "grafana": {"image": "grafana/grafana:11.2", "script": HOLDS.format(held=40 * MB), "healthcheck": FAILS},
        "loki": {"image": "grafana/loki:3.1", "script": WORKS.format(most=80), "mem_limit": "128m"},
    },
}


def main(course: float = COURSE) -> None:
    """Take `page-light.png`, all containers, and `page-dark.png`, one of them."""
    with tempfile.TemporaryDirectory() as directory, Engine.start(new_directory()) as engine:
        with closing(engine.client()) as client:
            demo.set_up(client)
            set_up(client)
            one = client.containers.get(ONE).id
        with running(write_config(Path(directory), engine.host, CLEANUP)) as daemon, browser() as chromium:
            time.sleep(course)
            for is_dark, view in ((False, ""), (True, f"#containers/{one}")):
                scheme: Literal["dark", "light"] = "dark" if is_dark else "light"
                page = chromium.new_page(viewport=SIZE, color_scheme=scheme)
                page.goto(f"http://{daemon.listen}/{view}")
                page.get_by_text(ONE).first.wait_for()
                page.wait_for_timeout(8000)  # milliseconds: the first rates
                page.screenshot(path=PICTURES / f"page-{scheme}.png")
                page.close()


def set_up(client: docker.DockerClient) -> None:
    """Start the services of two projects, each with a network; their images are the base's under other names."""
    base = client.images.get(images.BASE)
    for project, services in SERVICES.items():
        network = f"{project}_default"
        if not client.networks.list(names=[network]):
            client.networks.create(network)
        for service, options in services.items():
            image, script = options["image"], options["script"]
            base.tag(*image.split(":"))
            settings: dict[str, Any] = {
                "network": network,
                "restart_policy": {"Name": "unless-stopped"},
                "mounts": [Mount("/data", f"{project}_{service}-data")],
                "labels": {"com.docker.compose.project": project, "com.docker.compose.service": service},
                **{name: value for name, value in options.items() if name not in ("image", "script")},
            }
            name = f"{project}-{service}-1"
            client.containers.run(image, ["sh", "-c", script], name=name, detach=True, **settings)


if __name__ == "__main__":
    main()
