"""Engines that are the nodes of one Swarm, each in a network namespace of its own, with a bridge between them.

    with joined(directory, [{}, {}]) as (manager, worker):
        manager.docker("service", "create", ...)

The first is the manager. They have the addresses 10.77.0.1, 10.77.0.2 and so on, and are called node1, node2 ...
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.engine import Engine
from tests.harness.install import PATH
from tests.harness.waiting import wait_until

PORT = 2377  # where managers listen for other nodes

# Seconds. Each takes about two.
JOIN_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Node:
    """One engine, and the address by which the others reach it."""

    engine: Engine
    address: str

    @property
    def name(self) -> str:
        """Its host name."""
        return self.engine.hostname

    def docker(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """Run Docker's own command on it, and return what it prints."""
        command = ["/usr/bin/docker", "--host", self.engine.host, *arguments]
        env = {**os.environ, **environment}
        return subprocess.run(command, input=stdin, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def joined(directory: Path, engines: Sequence[Mapping[str, Any]]) -> Iterator[list[Node]]:
    """Start engines below an empty directory, with what `Engine.start` takes for each, and join them.

    Old tasks' containers are removed at once, not only when there are five: nothing but the Swarm needs their images.
    """
    bridge = directory / "bridge"
    bridge.touch()
    with ExitStack() as stack:
        stack.callback(directory.rmdir)
        stack.callback(bridge.unlink)
        _run("unshare", f"--net={bridge}", *("ip", "link", "add", "bridge", "up", "type", "bridge"))
        stack.callback(_run, "umount", str(bridge))
        nodes = []
        for number, options in enumerate(engines, start=1):
            name = f"node{number}"
            engine = stack.enter_context(Engine.start(directory / name, hostname=name, **options))
            nodes.append(Node(engine, f"10.77.0.{number}"))
            _connect(nodes[-1], bridge)
        _join(*nodes)
        yield nodes


def _connect(node: Node, bridge: Path) -> None:
    """Give a node an interface whose other end is at the bridge. It goes with the node's namespace."""
    at_bridge = ("nsenter", f"--net={bridge}", "ip", "link")
    _run(*at_bridge, "add", node.name, "type", "veth", "peer", "eth0", "netns", str(node.engine.pid))
    _run(*at_bridge, "set", node.name, "master", "bridge", "up")
    _run(*node.engine.inside("ip", "address", "add", f"{node.address}/24", "dev", "eth0"))
    _run(*node.engine.inside("ip", "link", "set", "eth0", "up"))


def _join(manager: Node, *workers: Node) -> None:
    with closing(manager.engine.client()) as client:
        client.swarm.init(
            advertise_addr=manager.address, listen_addr=f"{manager.address}:{PORT}", task_history_retention_limit=0
        )
        token = client.swarm.attrs["JoinTokens"]["Worker"]
        for worker in workers:
            with closing(worker.engine.client()) as other:
                other.swarm.join(
                    remote_addrs=[f"{manager.address}:{PORT}"],
                    join_token=token,
                    advertise_addr=worker.address,
                    listen_addr=f"{worker.address}:{PORT}",
                )
        wait_until(
            lambda: [node.attrs["Status"]["State"] for node in client.nodes.list()] == ["ready"] * (1 + len(workers)),
            seconds=JOIN_TIMEOUT,
            what="the nodes to be ready",
        )


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env={"PATH": PATH})
