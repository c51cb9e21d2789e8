"""docs/first-steps.md, walked through: each command prints what is shown there, but for sizes, times and IDs."""

import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

from tests import ROOT
from tests.harness import demo
from tests.harness.engine import Engine
from tests.harness.watchd_process import WATCHD

DOCUMENT = ROOT / "docs/first-steps.md"
# What is another at each run, and what stands for it.
CHANGING = {
    r"\b[0-9a-f]{12}\b": "ID",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)": "TIME",
    r"\b(\d+[dhms] ?)+(?=[,)]| reaches|, when|: )": "DURATION",
    r"\b\d+(\.\d+)?[kMGT]?B\b": "SIZE",
    r"\(\d+%\)": "SHARE",
    r"^/\S+: ": "PATH: ",
    r"  +": "  ",  # columns are as wide as what is in them
}


def blocks() -> list[tuple[str, str]]:
    """Return the language and the text of each block of the document."""
    return re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def told(text: str) -> list[str]:
    """Return the lines of an output, with what changes replaced."""
    for pattern, name in CHANGING.items():
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return [line.rstrip() for line in text.splitlines()]


def test_the_first_steps(engine_directory: Path, tmp_path: Path) -> None:
    with Engine.start(engine_directory) as engine, closing(engine.client()) as client:
        demo.set_up(client)
        environment = {
            "PATH": f"{WATCHD.parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "WATCHD_ENGINE__HOST": engine.host,
            "WATCHD_STATE__DIRECTORY": str(tmp_path / "state"),
            "WATCHD_CONFIG": "",
        }
        commands = 0
        for language, text in blocks():
            if language == "toml":
                (tmp_path / "watchd.toml").write_text(text)
                continue
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
                result = subprocess.run(
                    command.split(),
                    cwd=tmp_path,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                assert told(result.stdout) == told(shown), command
                assert result.returncode == 0, command
                commands += 1
        assert commands == 8
