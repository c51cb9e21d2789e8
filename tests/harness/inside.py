"""Commands in a running container, by the engine's exec.

A busy engine may lose the output of an exec (moby#27289), though not its exit code. So the output goes to a file in the
container's `/dev/shm`, where every user may write. It goes with the container, which has to be running afterwards.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from tests.harness.waiting import wait_until

_LONGEST = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Finished:
    """Result of a command: its exit code, and its output without the last newline."""

    exit_code: int
    output: str
    errors: str = ""


def run_inside(
    container: Container,
    command: Sequence[str],
    *,
    directory: str | None = None,
    environment: Mapping[str, str] | None = None,
    apart: bool = False,
) -> Finished:
    """Run a command, and return its result; stderr is part of `output`, or `apart` in `errors`."""
    api: Any = container.client.api  # type: ignore[union-attr]
    file = f"/dev/shm/{secrets.token_hex(8)}"
    into = '>"$0" 2>"$0.errors"' if apart else '>"$0" 2>&1'
    started = api.exec_create(
        container.id,
        ["sh", "-c", f'exec "$@" {into}', file, *command],
        workdir=directory,
        environment=dict(environment or {}),
    )["Id"]
    api.exec_start(started)
    wait_until(lambda: not api.exec_inspect(started)["Running"], seconds=_LONGEST, what=f"{command} to end")
    seen = Path(f"/proc/{api.inspect_container(container.id)['State']['Pid']}/root")
    return Finished(
        api.exec_inspect(started)["ExitCode"],
        _taken(seen / file.removeprefix("/")),
        _taken(seen / f"{file}.errors".removeprefix("/")) if apart else "",
    )


def _taken(file: Path) -> str:
    text = file.read_text(errors="replace").removesuffix("\n")
    file.unlink()
    return text
