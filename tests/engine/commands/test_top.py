"""`watchd top` on a real engine, with and without a daemon, printed and on the screen of a terminal."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.terminal import Terminal, terminal
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import WATCHD, running, watchd, write_config

POLICY = """
mode = "enforce"
grace = "0s"
jitter = "0s"
schedule = "0 4 1 1 *"
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "0s"
[[cleanup.policies]]
name = "when-full"
kind = "image"
pressure.high = "97%"
pressure.low = "50%"
"""
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*3[0-7](?:;\d+)*m")  # of the foreground


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient) -> Path:
    """The configuration of an engine with a container that burns CPU, one that sleeps and one that ended."""
    burn = ["sh", "-c", "while :; do :; done"]
    docker_client.containers.run(images.BASE, burn, name="burner", detach=True, nano_cpus=100_000_000)
    labels = {"com.docker.compose.project": "dormitory"}
    docker_client.containers.run(
        images.BASE, ["sleep", "600"], name="sleeper", detach=True, labels=labels, mem_limit=64 * 1024**2
    )
    docker_client.containers.run(images.BASE, ["sh", "-c", "exit 3"], name="ended", detach=True).wait()
    return write_config(tmp_path, clean_engine.host, POLICY)


@contextmanager
def shown(config: Path, *, rows: int = 24, columns: int = 160, **environment: str) -> Iterator[Terminal]:
    """Run it in a terminal, and wait until there is something to see."""
    with terminal([WATCHD, "top", "-c", config], rows=rows, columns=columns, **environment) as screen:
        screen.see("burner", "sleeper")
        yield screen


def names(lines: list[str]) -> list[str]:
    """Return the names of the containers that are shown, in order."""
    found = [line.split()[0] for line in lines if line]
    return [name for name in found if name in ("burner", "sleeper", "ended")]


def by_name(told: Any) -> dict[str, Any]:
    return {row["name"]: row for row in told["containers"]}


def told_by(config: Path, **environment: str) -> Any:
    """Return what `--json` prints once the burner got some CPU between the two readings."""

    def ask() -> Any:
        result = watchd("top", "--json", "-c", config, **environment)
        assert (result.returncode, result.stderr) == (0, "")
        told = json.loads(result.stdout)
        return told if by_name(told)["burner"]["cpu_cores"] else None

    return wait_until(ask, seconds=30, what="the CPU of the burner")


def check_told(told: Any) -> None:
    rows = by_name(told)
    assert 0 < rows["burner"]["cpu_cores"] < 0.5
    assert rows["sleeper"]["cpu_cores"] < 0.1
    assert rows["sleeper"]["memory_limit_bytes"] == 64 * 1024**2
    assert (rows["ended"]["exit_code"], rows["ended"]["cpu_cores"]) == (3, None)
    (disk,) = told["disks"]
    assert [mark["policy"] for mark in disk["marks"]] == ["when-full"]


def test_without_a_daemon(config: Path) -> None:
    told = told_by(config)
    check_told(told)
    assert told["next"] is None
    result = watchd("top", "--once", "-c", config)
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert result.stdout.startswith("watchd top  2 of 3 running, ")
    assert ", source cgroup, without a daemon\n" in result.stdout
    assert names(result.stdout.splitlines()) == ["burner", "sleeper", "ended"]
    (ended,) = (line for line in result.stdout.splitlines() if line.startswith("ended"))
    assert "exited 3" in ended
    assert not (config.parent / "state").exists(), "nothing is written"


def test_by_the_daemon(config: Path) -> None:
    with running(config):
        told = told_by(config)
        check_told(told)
        assert told["next"]["policies"] == ["exited", "when-full"]
        assert told["next"]["would_remove"]["container"]["count"] == 1
        result = watchd("top", "--once", "-c", config)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("watchd top  2 of 3 running, ")
        assert ", source cgroup, by the daemon\n" in result.stdout
        assert ": would remove 1 container, about " in result.stdout
        assert " (exited, when-full)\n" in result.stdout
        assert "when-full 97% to 50%" in result.stdout


def test_through_the_engines_api_without_a_daemon(config: Path) -> None:
    told = told_by(config, WATCHD_METRICS__SOURCE="api")
    assert told["source"] == "api"
    assert by_name(told)["burner"]["cpu_cores"] > 0


def test_without_a_terminal_it_says_what_to_add(config: Path) -> None:
    result = watchd("top", "-c", config)
    assert (result.returncode, result.stdout) == (2, "")
    assert "add --once or --json" in result.stderr


def test_keys_in_a_terminal(config: Path) -> None:
    with running(config), shown(config) as screen:
        before = screen.see("by the daemon", "would remove 1 container", "when-full 97% to 50%", "by CPU")
        assert names(before) == ["burner", "sleeper"]
        screen.press("N")
        screen.press("r")
        assert names(screen.see("by name, reversed")) == ["sleeper", "burner"]
        screen.press("a")
        assert names(screen.see("reversed  all", "exited 3")) == ["sleeper", "ended", "burner"]
        screen.press("/DORM\r")
        assert names(screen.see("with 'DORM'")) == ["sleeper"]
        screen.press("\x1b")
        assert len(names(screen.see("burner"))) == 3
        screen.press("?")
        screen.see("arrows, page up and down")
        screen.press("?")
        screen.see("burner")
        screen.press("q")
        assert screen.ended() == 0


def test_scrolling_and_another_size(config: Path, docker_client: docker.DockerClient) -> None:
    for number in range(12):
        docker_client.containers.create(images.BASE, name=f"made{number:02}")
    with shown(config, rows=14, columns=120) as screen:
        screen.press("aN")
        screen.see("1 to 8 of 15", "burner")
        screen.press("\x1b[B")
        screen.see("2 to 9 of 15", "made06")
        screen.press("\x1b[6~")
        screen.see("8 to 15 of 15", "sleeper")
        screen.resize(40, 60)
        lines = screen.see("burner", "sleeper", "made11")
        assert max(map(len, lines)) <= 60
        assert "PROCS" not in "".join(lines)
        screen.resize(5, 20)
        screen.press("q")
        assert screen.ended() == 0


def test_whatever_ends_it_the_terminal_is_as_before(config: Path) -> None:
    command = 'trap : INT; stty -a > before; "$0" top -c "$1"; echo "exit $?"; stty -a > after'
    ends: tuple[str | signal.Signals, ...] = ("\x03", signal.SIGTERM, signal.SIGHUP)
    directories = [config.parent / str(number) for number in range(len(ends))]
    with ExitStack() as stack:
        screens = []
        for directory in directories:
            directory.mkdir()
            program: list[str | Path] = ["sh", "-c", f"cd '{directory}'; {command}", WATCHD, config]
            screens.append(stack.enter_context(terminal(program, TERM="xterm")))
        for screen, end in zip(screens, ends, strict=True):
            screen.see("burner")
            if isinstance(end, str):
                screen.press(end)
            else:
                children = Path(f"/proc/{screen.process.pid}/task/{screen.process.pid}/children")
                os.kill(int(children.read_text()), end)
        for screen in screens:
            assert screen.ended() == 0
            assert b"exit 0" in screen.output
            shows, leaves = screen.output.count(b"\x1b[?1049h"), screen.output.count(b"\x1b[?1049l")
            assert (shows, leaves) == (1, 1), "another screen, and back"
    for directory in directories:
        assert (directory / "before").read_text() == (directory / "after").read_text()


def test_what_happens_is_shown(config: Path, docker_client: docker.DockerClient) -> None:
    with running(config) as daemon, shown(config) as screen:
        docker_client.containers.run(images.BASE, ["sleep", "600"], name="newcomer", detach=True)
        screen.see("newcomer")
        docker_client.containers.get("newcomer").remove(force=True)
        wait_until(lambda: "newcomer" not in "".join(screen.lines), seconds=40, what="it to go")
        daemon.stop()
        screen.see("no watchd is running on this state directory")
        assert "burner" in "".join(screen.lines), "what was known stays"


def test_colours_unless_there_are_to_be_none(config: Path) -> None:
    with shown(config) as screen:
        screen.press("a")
        screen.see("exited 3")
        assert COLOUR.search(screen.output)
    with shown(config, NO_COLOR="1") as screen:
        screen.press("a")
        screen.see("exited 3")
        assert screen.colours() == {"default"}
        assert not COLOUR.search(screen.output)


def test_a_terminal_that_shows_ascii_alone(config: Path) -> None:
    with shown(config, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") as screen:
        screen.see("Memory #")
        assert screen.output.isascii()


def test_a_terminal_that_cannot_show_it(config: Path) -> None:
    with terminal([WATCHD, "top", "-c", config], TERM="nonsense") as screen:
        assert screen.ended() == 1
        assert "TERM=nonsense" in "".join(screen.lines)
        assert b"Traceback" not in screen.output


def test_a_reader_that_goes_away(config: Path) -> None:
    result = subprocess.run(
        ["sh", "-c", f"{WATCHD} top --once -c {config} | head -n 1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("watchd top")
    assert "Traceback" not in result.stderr


def test_it_ends_with_its_terminal(config: Path) -> None:
    """Also where it is not the first process of its session, which alone is told by a signal."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "linux", "LC_ALL": "C.UTF-8"}
    command: list[str | Path] = [WATCHD, "top", "-c", config]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        try:
            os.close(theirs)
            seen = b""
            while b"burner" not in seen:
                seen += os.read(ours, 65536)
            os.close(ours)
            process.wait(60)  # with which code nobody is there to see
        finally:
            process.kill()
