"""The parts of the harness that need no engine: its errors, and what it does without root."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.harness import __main__ as commands
from tests.harness import install


def test_without_root_the_command_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "LINK", tmp_path / "engine")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert commands.main(["up"]) == 2

    assert capsys.readouterr().err == "an engine of its own needs root: run this as root\n"


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"])
def test_policy_against_service_starts_is_put_back_after_a_failure(tmp_path: Path, before: str | None) -> None:
    policy = tmp_path / "policy-rc.d"
    if before:
        policy.write_text(before)

    def fail_to_install() -> None:
        with install.no_service_starts(policy):
            assert subprocess.run([policy], check=False).returncode == 101
            raise install.UnavailableError

    with pytest.raises(install.UnavailableError):
        fail_to_install()

    assert [path.read_text() for path in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize(("ci", "exit_code"), [("", 0), ("true", 1)])
def test_skipped_engine_test_fails_a_run_in_ci(tmp_path: Path, ci: str, exit_code: int) -> None:
    (tmp_path / "without_root.py").write_text("import os\nos.geteuid = lambda: 1000\n")
    # PYTEST_ADDOPTS may name this very file: the run inside would start itself again, and again.
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(tmp_path), "PYTEST_ADDOPTS": ""}
    test = "tests/engine/test_harness.py::test_paused_engine_does_not_answer"

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "without_root", "-p", "no:cacheprovider", test],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )

    assert run.returncode == exit_code
    assert (test in run.stdout.splitlines()) == bool(ci)
