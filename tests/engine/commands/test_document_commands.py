"""Every command of watchd that a document has is run, but for docs/first-steps.md, which has a test of its own."""

import os
import re
import shlex
import subprocess
import time
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests import ROOT
from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.watchd_process import WATCHD
from tests.unit.cleanup.builders import DAY
from tests.unit.cleanup.past.lives import layered, life, past, record_into
from tests.unit.docs.test_documents import DOCUMENTS, code
from watchd.store import Store

# What each prints, and where it does not end with 0 its exit code. Without a terminal nobody can be asked or shown.
PRINTS: dict[str, tuple[str, int]] = {
    "watchd advise": (r"Too little is known to recommend anything", 0),
    "watchd advise --kind image --regrets 3": (r"when\.unused_for = ", 0),
    "watchd backtest": (r"exited-containers.*dangling-images|dangling-images.*exited-containers", 0),
    "watchd backtest --against stricter.toml": (r"ended", 0),
    "watchd backtest --policy dangling-images": (r"dangling-images", 0),
    "watchd config check": (r"defaults.*: good", 0),
    "watchd config check --engine": (r"defaults.*: good\npolicy exited-containers selects \d+ of ", 0),
    "watchd config schema": (r'"additionalProperties": false', 0),
    "watchd config show": (r"\[cleanup\]\nmode = \"report\"", 0),
    "watchd df": (r"KIND +COUNT +TOTAL +SHARED +RECLAIMABLE +BY POLICY\ncontainers +1 ", 0),
    "watchd df --deep": (r"DATA +HELD BY +SIZE +COUNT +LARGEST\n(?s:.*)layers +images ", 0),
    "watchd explain web": (r"container web \(\w{12}\) stays: it is new\.\n  decision: keep, grace\n", 0),
    "watchd healthcheck": (r"no watchd is running on this state directory", 1),
    "watchd history --regretted": (r"Nothing was needed again\.", 0),
    "watchd history --since 7d": (r"Nothing was removed\.", 0),
    "watchd notify test": (r"there is no receiver: add \[notify\] urls to the configuration", 2),
    "watchd prune": (r"there is no terminal to ask on: add --yes to remove, or --dry-run to see", 2),
    "watchd prune --dry-run": (r"exited-containers only reports .*\nNothing to remove\.", 0),
    "watchd prune --dry-run --at +7d": (r"exited-containers only reports .*\nNothing to remove\.", 0),
    "watchd prune --dry-run -c ci.toml": (r"exited-containers removes .* 12h\nunused-images removes .* 14d\n", 0),
    "watchd prune --yes --json": (r'"totals": \{', 0),
    "watchd top": (r"there is no terminal: add --once or --json", 2),
    "watchd top --json": (r'"name": ?"web"', 0),
    "watchd top --once": (r"NAME +STATE .*\nweb +running ", 0),
}
STRICTER = """
[[cleanup.policies]]
name = "ended"
kind = "container"
mode = "enforce"
when.finished_for = "12h"
"""


def record_a_past(state: Path) -> None:
    """Record 20 days with 40 images, of which nothing was ever used again."""
    lives = (life(layered(f"once-{number}", 1_000_000), number * DAY / 10) for number in range(40))
    with closing(Store.open(state)) as store:
        record_into(store, past(*lives, watched=[(0.0, 20 * DAY)]), ends=time.time())


def commands() -> set[str]:
    """Return the commands in all documents but the one."""
    documents = [document for document in DOCUMENTS if document.name != "first-steps.md"]
    lines = {line for document in documents for line in code(document)}
    return {line for line in lines if re.fullmatch(r"watchd [a-z]+( \S+)*", line)} - {
        "watchd run"
    }  # which does not end


def policies_of_the_readme() -> str:
    found = re.search(r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_every_command_is_known_here() -> None:
    assert commands() == set(PRINTS)


@pytest.mark.parametrize("command", PRINTS)
def test_it_prints_what_it_should(
    command: str, clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    (tmp_path / "ci.toml").write_text(policies_of_the_readme())
    (tmp_path / "stricter.toml").write_text(STRICTER)
    if command.startswith(("watchd advise", "watchd backtest")):
        record_a_past(tmp_path / "state")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "WATCHD_ENGINE__HOST": clean_engine.host,
        "WATCHD_STATE__DIRECTORY": str(tmp_path / "state"),
    }
    _, *arguments = shlex.split(command)
    done = subprocess.run(
        [WATCHD, *arguments],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    pattern, exit_code = PRINTS[command]
    assert re.search(pattern, done.stdout, re.DOTALL), done.stdout
    assert done.returncode == exit_code
