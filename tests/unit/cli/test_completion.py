"""Completion in shells, as docs/commands.md says."""

import pytest

from tests.harness.command import watchd_here
from tests.harness.watchd_process import watchd


@pytest.mark.parametrize(("shell", "has"), [("bash", "complete -o"), ("zsh", "#compdef watchd"), ("fish", "complete ")])
def test_each_shell_has_a_script(shell: str, has: str) -> None:
    script = watchd_here(_WATCHD_COMPLETE=f"{shell}_source")
    assert script.returncode == 0
    assert has in script.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (
            "watchd ",
            {
                "run",
                "prune",
                "explain",
                "history",
                "backtest",
                "advise",
                "notify",
                "top",
                "df",
                "healthcheck",
                "config",
            },
        ),
        ("watchd pr", {"prune"}),
        ("watchd prune --dr", {"--dry-run"}),
        ("watchd config ", {"check", "show", "schema"}),
        ("watchd history --kind ", {"container", "image", "volume", "network", "build_cache"}),
    ],
)
def test_commands_options_and_kinds(words: str, completed: set[str]) -> None:
    shell = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    told = watchd_here(_WATCHD_COMPLETE="bash_complete", **shell).stdout.splitlines()
    assert {line.partition(",")[2] for line in told} == completed


def test_the_installed_command_completes() -> None:
    told = watchd(_WATCHD_COMPLETE="bash_complete", COMP_WORDS="watchd pr", COMP_CWORD="1")
    assert told.stdout == "plain,prune\n"
