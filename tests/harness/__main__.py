"""`python -m tests.harness up|down|run`: the engine of `make run`, and watchd on it."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests import ROOT
from tests.harness import demo, install
from tests.harness.engine import Engine, EngineError, new_directory
from watchd.config.load import load
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.connection.transport import tls_of
from watchd.errors import ConfigError

CACHE = ROOT / ".cache"

# A link to the directory of the engine of `make run`, which itself is where its sockets' paths are short enough.
LINK = CACHE / "engine"

CONFIG = CACHE / "run" / "config.toml"
LISTEN = "127.0.0.1:10210"


def up() -> None:
    """Start the embedded engine, unless it runs, and print its DOCKER_HOST."""
    print(f"DOCKER_HOST={_embedded().host}")


def down() -> None:
    """Stop the embedded engine and remove all that is on it."""
    engine = _recorded()
    if engine is None:
        print("no embedded engine is there")
        return
    engine.stop()
    LINK.unlink()
    print(f"stopped the embedded engine and removed {engine.directory}")


def run() -> None:
    """Run watchd on the engine that answers, else on the embedded one with the demonstration, until it is ended."""
    watchd = Path(sys.executable).with_name("watchd")
    if not watchd.exists():
        raise install.UnavailableError(f"{watchd} is not there: `make run` installs it")
    engine = _answering_engine()
    embedded = engine is None
    if engine is None:
        print("starting the embedded engine", flush=True)
        own = _embedded()
        print("making a few containers and images there, as a demonstration", flush=True)
        with closing(own.client()) as client:
            demo.set_up(client)
        engine = EngineConfig(host=own.host)
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text(_config(engine))
    print(_where_to_look(watchd, engine.host, embedded=embedded), flush=True)
    os.execv(watchd, [str(watchd), "run", "-c", str(CONFIG)])  # noqa: S606 - in its place, signals reach watchd itself


def _recorded() -> Engine | None:
    """Return the engine that an earlier call started, running or not."""
    try:
        return Engine.attach(LINK)
    except FileNotFoundError:
        LINK.unlink(missing_ok=True)
        return None


def _embedded() -> Engine:
    engine = _recorded()
    if engine is not None and engine.is_running:
        return engine
    if engine is not None:  # the machine was started anew, or dockerd was ended by someone else
        engine.stop()
    LINK.unlink(missing_ok=True)
    install.ensure_engine()
    LINK.parent.mkdir(parents=True, exist_ok=True)
    directory = new_directory()
    LINK.symlink_to(directory)  # before it is started, so that `down` finds whatever becomes of it
    return Engine.start(directory)


def _answering_engine() -> EngineConfig | None:
    """Return the address of the engine that the Docker command uses here, if it answers."""
    try:
        config = load(None).engine
    except ConfigError as error:
        raise install.UnavailableError("\n".join(error.problems)) from None
    try:
        with closing(
            docker.DockerClient(base_url=config.host, version="auto", timeout=5, tls=tls_of(config) or False)
        ) as client:
            client.ping()
    except (DockerException, RequestException):
        print(f"no engine answers at {config.host}", flush=True)
        return None
    return config


def _config(engine: EngineConfig) -> str:
    files = {"tls_ca": engine.tls_ca, "tls_cert": engine.tls_cert, "tls_key": engine.tls_key}
    tls = "".join(f'{key} = "{file}"\n' for key, file in files.items() if file)
    return f"""\
# Written by `make run`. Both policies only report, and wait for nothing, so that there is something to see at once.

[engine]
host = "{engine.host}"
{tls}
[state]
directory = "{CONFIG.parent / "state"}"

[http]
listen = "{LISTEN}"

[cleanup]
mode = "report"
grace = "0s"

[[cleanup.policies]]
name = "exited-containers"
kind = "container"
select.status = ["exited", "dead"]
when.finished_for = "0s"

[[cleanup.policies]]
name = "dangling-images"
kind = "image"
select.class = ["dangling"]
when.dangling_for = "0s"
"""


def _where_to_look(watchd: Path, host: str, *, embedded: bool) -> str:
    lines = [
        f"watchd runs on the engine at {host}, and only reports what it would clean up.",
        f"In a browser: http://{LISTEN}/. In another terminal:",
        "",
        f"  curl -s http://{LISTEN}/metrics | grep ^container_cpu",
        f"  {_short(watchd)} top -c {_short(CONFIG)}",
        f"  {_short(watchd)} prune -c {_short(CONFIG)} --dry-run",
    ]
    if embedded:
        lines += [
            "",
            "The engine is an embedded one, in a network namespace of its own, and stays until it is stopped:",
            "",
            f"  nsenter --net={_short(LINK / 'netns')} curl -s http://127.0.0.1:8000/",
            "  make engine-down",
        ]
    return "\n".join([*lines, ""])


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


COMMANDS: dict[str, Callable[[], None]] = {"up": up, "down": down, "run": run}


def main(arguments: Sequence[str]) -> int:
    """Carry out the one command given. Return the exit code: 2 when this machine cannot do it, or it was misspelt."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print("usage: python -m tests.harness up|down|run", file=sys.stderr)
        return 2
    try:
        COMMANDS[arguments[0]]()
    except install.UnavailableError as error:
        print(error, file=sys.stderr)
        return 2
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
