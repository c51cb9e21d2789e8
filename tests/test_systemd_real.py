"""watchd as a service of a real systemd, installed by the very commands of README.md and deploy/README.md."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness import images, newer, systemd
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.systemd import Host
from tests.harness.waiting import wait_until

ROOT = Path(__file__).parents[1]
SERVICE = "watchd.service"
DROP_INS = f"/etc/systemd/system/{SERVICE}.d"
METRICS = "http://127.0.0.1:10210/metrics"
PARTS = ("watchd", "deploy", "pyproject.toml", "requirements.lock", "README.md", "LICENSE", "config.example.toml")

# What is on record of when things were first seen: a state that was lost would have none so old.
FIRST_SEEN = """
import sqlite3
state = sqlite3.connect("file:/var/lib/watchd/watchd.db?mode=ro", uri=True)
print(sorted(state.execute("SELECT kind, id, first_seen FROM observation")))
"""


@pytest.fixture(scope="module")
def host(new_engine_directory: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with systemd, watchd's files in /src, and the engine that it is itself a container of."""
    directory = new_engine_directory()
    try:
        with Engine.start(directory, environment=newer.environment()) as engine, closing(engine.client()) as client:
            images.load_base(client)
            systemd.load(client)
            client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
            mounts = {
                str(source(tmp_path_factory.mktemp("source"))): {"bind": "/src"},
                str(engine.socket): {"bind": "/run/docker.sock"},
            }
            with systemd.booted(client, mounts) as host:
                yield host
    except UnavailableError as error:
        pytest.skip(str(error))


def source(directory: Path) -> Path:
    """Copy the project to a directory, and the packages that it needs, for there is no network to get them from."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, directory / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, directory)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", directory / "wheels"]
    platforms = [f"--platform=manylinux{version}_x86_64" for version in ("2014", "_2_17", "_2_28")]
    pip += ["--python-version", systemd.PYTHON_VERSION, "--implementation", "cp", *platforms]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements.lock"], check=True)
    subprocess.run([*pip, "hatchling"], check=True)
    return directory


def commands(document: str, heading: str) -> list[str]:
    """Return the commands of the first block below a heading."""
    section = (ROOT / document).read_text().split(f"\n## {heading}\n")[1]
    return re.findall(r"^    (\S.*)$", section.split("\n## ")[0], re.MULTILINE)
