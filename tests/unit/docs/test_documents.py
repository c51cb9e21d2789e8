"""The documents agree with the code."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests import ROOT
from tests.unit.config import reference as configuration
from tests.unit.metrics import reference
from watchd import __version__, cli
from watchd.cleanup.plan.plan import Outcome
from watchd.cleanup.plan.reasons import Reason
from watchd.config import Config
from watchd.config.load import load
from watchd.config.validation.models import model_of
from watchd.metrics.groups import METRICS

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("deploy/*.md"))]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def test_the_example_configuration_shows_the_defaults() -> None:
    assert load(ROOT / "config.example.toml") == load(None)


def test_the_example_configuration_shows_every_key() -> None:
    schema = model_of(Config).model_json_schema()
    keys = {key for table in schema["$defs"].values() for key in table["properties"]}
    missing = {key for key in keys if not re.search(rf"\b{key}\b", text("config.example.toml"))}
    assert missing == set()


@pytest.mark.parametrize("word", [*Reason, *Outcome])
def test_every_reason_and_outcome_is_explained(word: str) -> None:
    assert f"`{word}`" in text("docs/cleaning.md")


def test_the_reference_has_the_catalogues_tables() -> None:
    """Made by `python -m tests.unit.metrics.reference`."""
    document = reference.DOCUMENT.read_text()
    assert document == reference.with_tables(document)
    assert set(reference.groups_in(document)) == {metric.record for metric in METRICS}


def test_the_configurations_reference_has_every_key() -> None:
    """Made by `python -m tests.unit.config.reference`."""
    document = configuration.DOCUMENT.read_text()
    assert document == configuration.with_tables(document)
    assert set(re.findall(r"<!-- table: ([\w.]+) -->", document)) == {
        *model_of(Config).model_fields,
        "cleanup.protect",
        "metrics.include",
        "cleanup.policies",
        "engine.data_roots",
    }


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "prune",
        "explain",
        "history",
        "backtest",
        "advise",
        "top",
        "df",
        "healthcheck",
        "config check",
        "config show",
        "config schema",
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli.main, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"watchd {command}" in text("README.md") + text("config.example.toml") + text("CHANGELOG.md") + text(
        "docs/cleaning.md"
    )


@pytest.mark.parametrize(
    "command",
    ["config check", "config show", "run", "prune", "df", "history", "backtest", "advise", "top", "healthcheck"],
)
def test_a_file_given_as_an_argument_is_told_how_to_be_named(command: str) -> None:
    result = CliRunner().invoke(cli.main, [*command.split(), "my config.toml"], prog_name="watchd")
    assert result.exit_code == 2
    assert result.stderr.endswith(f"If it is the configuration file: watchd {command} -c 'my config.toml'\n")


def test_the_image_has_the_version_in_its_labels() -> None:
    assert f"ARG VERSION={__version__}\n" in text("Dockerfile")


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_tests_that_documents_name_are_there() -> None:
    for document in DOCUMENTS:
        for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", document.read_text()):
            assert f"def {name}(" in text(file), f"{document.name} names {file}::{name}"


def code(document: Path) -> list[str]:
    """Return the lines of a document that are set as code, without prompts and comments."""
    text = document.read_text()
    fenced = re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    lines = [line for block in fenced for line in block.splitlines()] + indented
    return [re.sub(r"\s+#.*", "", line.removeprefix("$ ")) for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_command_that_a_document_has_is_one(document: Path) -> None:
    for line in code(document):
        words = (
            shlex.split(line) if re.fullmatch(r"watchd [a-z]+( \S+)*", line) else []
        )  # what is in columns was printed
        if words:
            command: click.Command = cli.main
            arguments = words[1:]
            while isinstance(command, click.Group):
                found = command.get_command(click.Context(command), arguments.pop(0))
                assert found is not None, line
                command = found
            command.make_context(line, arguments)  # raises where an option is none


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_configuration_that_a_document_has_is_good(document: Path, tmp_path: Path) -> None:
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)):
        file = tmp_path / f"{number}.toml"
        file.write_text(re.sub(r'"/etc/watchd/[^"]*"', f'"{file}"', block))  # files that are named have to be there
        load(file)
