"""The demonstration of `make run` on the embedded engine: a small host with a few containers.

my-python-app      a Dockerfile with Python's http.server, published on port 8000
shop-web-1, shop-client-1    a Compose project whose services talk to each other
busy               a loop that may use a fifth of a CPU
nightly-report     a container that has ended, made from an image that was rebuilt since: the old one dangles
"""

from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from tests.harness import images

APP_DOCKERFILE = f"""\
FROM {images.PYTHON}
WORKDIR /app
COPY . .
EXPOSE 8000
CMD ["python", "-m", "http.server", "8000"]
"""
APP_PAGE = b"<h1>Hello from my-python-app</h1>\n"

COMPOSE_PROJECT = "shop"


def set_up(client: docker.DockerClient) -> None:
    """Create the missing parts of the demonstration and start its containers. Existing parts stay as they are."""
    images.load_base(client)
    images.load_python(client)
    _python_app(client)
    _compose_project(client)
    _keep_running(client, "busy", images.BASE, command=["sh", "-c", "while :; do :; done"], nano_cpus=200_000_000)
    _nightly_report(client)


def _python_app(client: docker.DockerClient) -> None:
    if not client.images.list("my-python-app"):
        images.build(client, "my-python-app", APP_DOCKERFILE, {"index.html": APP_PAGE})
    _keep_running(client, "my-python-app", "my-python-app", ports={"8000/tcp": 8000})


def _compose_project(client: docker.DockerClient) -> None:
    network = f"{COMPOSE_PROJECT}_default"
    if not client.networks.list(names=[network]):
        labels = {"com.docker.compose.project": COMPOSE_PROJECT, "com.docker.compose.network": "default"}
        client.networks.create(network, labels=labels)
    services = {
        "web": "mkdir -p /www; dd if=/dev/zero of=/www/index.html bs=64k count=1; exec httpd -f -h /www",
        "client": "while :; do wget -q -O /dev/null http://web/; sleep 1; done",
    }
    for service, script in services.items():
        _keep_running(
            client,
            f"{COMPOSE_PROJECT}-{service}-1",
            images.BASE,
            command=["sh", "-c", script],
            network=network,
            networking_config={network: client.api.create_endpoint_config(aliases=[service])},
            labels={
                "com.docker.compose.project": COMPOSE_PROJECT,
                "com.docker.compose.service": service,
                "com.docker.compose.container-number": "1",
                "com.docker.compose.oneoff": "False",
            },
        )


def _nightly_report(client: docker.DockerClient) -> None:
    if not client.images.list(filters={"dangling": True}):
        images.make_dangling(client, "nightly-report")
    if _find(client, "nightly-report") is None:
        client.containers.run("nightly-report", ["true"], name="nightly-report", detach=True).wait(timeout=30)


def _keep_running(client: docker.DockerClient, name: str, image: str, **options: Any) -> None:
    container = _find(client, name) or client.containers.create(image, name=name, **options)
    container.start()  # of one that runs: nothing


def _find(client: docker.DockerClient, name: str) -> Container | None:
    try:
        return client.containers.get(name)
    except NotFound:
        return None
