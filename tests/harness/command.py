"""Commands of watchd in the process of the test: the interpreter is not started for each."""

import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from watchd.cli import main


@contextmanager
def logging_kept() -> Iterator[None]:
    """Restore the levels and handlers of logging, which commands set up for a process of their own."""
    loggers = [logging.getLogger(), logging.getLogger("watchd")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers


def watchd_here(*arguments: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command, like `watchd_process.watchd`. What it raises unexpectedly is raised here."""
    words = [str(argument) for argument in arguments]
    with logging_kept():
        result = CliRunner().invoke(
            main, words, input=stdin, env=environment, prog_name="watchd", catch_exceptions=False
        )
    return subprocess.CompletedProcess(["watchd", *words], result.exit_code, result.stdout, result.stderr)
