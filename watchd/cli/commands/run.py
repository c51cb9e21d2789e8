"""`watchd run`: the daemon."""

import signal
from pathlib import Path

import click

from watchd.cli.options import OptionsOnly, config_option
from watchd.config import separate
from watchd.config.file import find_file
from watchd.runtime import log
from watchd.runtime.gc import gc_paused

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
def run(config_file: Path | None) -> None:
    """Run the daemon: watch, serve metrics, clean on schedule.

    SIGTERM and SIGINT stop it. SIGHUP reloads the configuration; an invalid one is logged, and the old one stays.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the daemon handles it: its default is to end the process
    with separate.Check(find_file(config_file)) as check:
        with gc_paused():  # an eighth of the CPU time that importing takes
            from watchd import daemon  # while the configuration is checked

        config = check.result()
    log.set_up(config.log.level, config.log.format)
    daemon.run(config, lambda: separate.load(find_file(config_file)), config_file)
