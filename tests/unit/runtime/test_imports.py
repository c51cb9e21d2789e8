"""What the daemon imports, which it keeps in memory for as long as it runs, and what the check of its health does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = ("pydantic", "pydantic_core", "pydantic_settings", "annotated_types", "tomllib", "watchd.config.load")
COMMANDS = ("tomli_w", "curses", "watchd.top", "watchd.cli.prune_run")
WHEN_USED = ("apprise", "bcrypt", "_bcrypt", "charset_normalizer.api", "difflib")


def imported(code: str) -> set[str]:
    """Return the modules that a new Python has after this code."""
    printing = f"{code}\nimport json, sys\nprint(json.dumps([each for each in sys.modules if sys.modules[each]]))"
    ran = subprocess.run([sys.executable, "-c", printing], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


def test_the_daemon_imports_nothing_that_only_checks_commands_or_some_settings_need() -> None:
    found = imported("from watchd import cli, daemon")
    assert "watchd.cleanup.daemon.cleaner" in found
    assert found.isdisjoint({*CHECKS, *COMMANDS, *WHEN_USED})


def test_the_names_above_are_those_of_modules() -> None:
    """A name that was misspelt would never be imported."""
    code = "from watchd import top; from watchd.cli import prune_run; from watchd.config import load"
    found = imported(f"{code}; import tomli_w, curses, apprise, bcrypt, difflib")
    assert found >= {*CHECKS, *COMMANDS, "apprise", "bcrypt", "difflib"}


def test_to_ask_whether_the_daemon_lives_checks_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked twice a minute."""
    monkeypatch.setenv("WATCHD_STATE__DIRECTORY", str(tmp_path))
    found = imported(
        "from contextlib import suppress\n"
        "from watchd.errors import WatchdError\n"
        "from watchd.cli.commands.healthcheck import healthcheck\n"
        "with suppress(WatchdError): healthcheck([], standalone_mode=False)"
    )
    assert "watchd.http.private" in found
    assert found.isdisjoint({*CHECKS, "watchd.daemon"} - {"tomllib"})
