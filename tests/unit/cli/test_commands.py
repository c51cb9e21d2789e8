"""Commands that end before they reach an engine."""

from pathlib import Path

import pytest

from tests.harness.command import watchd_here
from tests.harness.watchd_process import write_config


@pytest.mark.parametrize("arguments", [["--since", "7"], ["--since", "20-01T"], ["--kind", "pod"]])
def test_history_refuses_what_it_cannot_read(tmp_path: Path, arguments: list[str]) -> None:
    refused = watchd_here("history", *arguments, WATCHD_STATE__DIRECTORY=str(tmp_path))
    assert refused.returncode == 2
    assert arguments[0] in refused.stderr


def test_an_engine_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"unix://{tmp_path}/none.sock")
    result = watchd_here("prune", "-c", config, "-n")
    assert result.returncode == 1
    assert f"the engine at unix://{tmp_path}/none.sock cannot be reached: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"unix://{tmp_path}/nothing.sock")
    result = watchd_here("top", "--once", "-c", config)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{tmp_path}/nothing.sock" in result.stderr
    assert "no watchd is running on this state directory" in result.stderr


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('[http]\nlisten = "[fe80::1%lo]:10210"\n', "http.listen: cannot listen on [fe80::1%lo]:10210: "),
        ('[http]\nlisten = [":1", "unix:///nowhere/w.sock"]\n', "http.listen: cannot listen on unix:///nowhere/w.sock"),
        ('[metrics]\nsource = "cgroup"\nprocfs = "/nowhere"\n', "metrics.procfs: /nowhere is no /proc"),
        ('[metrics]\nsource = "cgroup"\ncgroupfs = "/nowhere"\n', "metrics.cgroupfs: there is no directory /nowhere"),
    ],
)
def test_the_check_refuses_what_the_daemon_would_refuse(tmp_path: Path, settings: str, problem: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(settings)
    checked = watchd_here("config", "check", "-c", file)
    assert checked.returncode == 2
    assert f"  {problem}" in checked.stderr
    assert len(checked.stderr.splitlines()) == 2
