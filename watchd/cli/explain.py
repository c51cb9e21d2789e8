"""`watchd explain`: why one object goes or stays."""

import json
import sys
from pathlib import Path
from typing import get_args

import click

from watchd.cli.options import INCOMPLETE, config_option, load_config
from watchd.cli.output import print_lines
from watchd.cli.session import Session
from watchd.model import Kind

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command()
@config_option
@click.argument("reference", metavar="REF")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only an object of this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def explain(config_file: Path | None, reference: str, *, kind: Kind | None, as_json: bool) -> None:
    """Tell what every protection and every policy says of one object.

    REF is a container's name, else an image's reference, else the name of a network or a volume, else the beginning of
    an ID, of which 4 digits are enough. The engine is only read.
    """
    from watchd.cleanup import report
    from watchd.cleanup.plan.explain import find_one
    from watchd.cleanup.run.planning import look_and_plan

    with Session(load_config(config_file), read_only=True) as session:
        prepared = look_and_plan(session.client, session.cleanup, session.usage)
        subject = find_one(prepared.view, reference, kind)
        regret = session.store.last_regret(prepared.view.engine.id, subject) if session.store else None
    explanation = prepared.explain(subject, regret)
    if as_json:
        click.echo(json.dumps(report.explanation_as_json(explanation), indent=2))
    else:
        print_lines(report.explanation(explanation))
    print_lines(report.watched_note(prepared.watched, prepared.cleanup), err=True)
    sys.exit(INCOMPLETE if prepared.plan.incomplete else 0)
