"""`watchd explain`: why one object goes or stays."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from watchd.cli.options import INCOMPLETE, config_option, load_config
from watchd.cli.output import print_lines, print_note
from watchd.cli.session import Session
from watchd.model import Image, Kind

if TYPE_CHECKING:
    from watchd.engine.data.owners import Owned
    from watchd.model import EngineView, Subject

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py

_MOST_NAMES = 5


@click.command()
@config_option
@click.argument("reference", metavar="REF")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only an object of this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def explain(config_file: Path | None, reference: str, *, kind: Kind | None, as_json: bool) -> None:
    """Show why one object goes or stays. It prints what every protection and every policy says of it.

    REF is the name of a container, a reference of an image, the name of a network or a volume, or the first digits of
    an ID (4 or more). REF can also be what `du` shows below Docker's data: a path in a volume, in a layer or of a
    container's log, or the whole ID of a layer. Nothing is changed.
    """
    from watchd.cleanup import report
    from watchd.cleanup.plan.explain import NoSuchObject, find, find_one
    from watchd.cleanup.run.planning import look_and_plan
    from watchd.engine.data.owners import owned

    with Session(load_config(config_file), read_only=True) as session:
        prepared = look_and_plan(session.client, session.cleanup, session.observer)
        view = prepared.view
        named = find(view, reference, kind)
        belongs = None if kind or named else owned(session.client, view, reference)
        if reference.startswith("/") and not (kind or named or belongs):
            raise NoSuchObject(f"{reference!r} is not in a volume, a layer or the files of a container that exists")
        subject = _owner(belongs, reference, view) if belongs else find_one(view, reference, kind)
        regret = session.store.last_regret(view.engine.id, subject) if session.store else None
        if isinstance(subject, Image):
            subject = replace(subject, parts=session.client.image_parts().get(subject.id, ()))
    explanation = prepared.explain(subject, regret)
    if belongs and not as_json:
        print_lines([f"{reference} is {belongs.what}{_also(belongs)}:", ""], wrap=True)
    if as_json:
        click.echo(json.dumps(report.explanation_as_json(explanation), indent=2))
    else:
        print_lines(report.explanation(explanation), wrap=True)
    for note in report.watched_note(prepared.watched, prepared.cleanup):
        print_note(note)
    sys.exit(INCOMPLETE if prepared.plan.incomplete else 0)


def _owner(belongs: "Owned", reference: str, view: "EngineView") -> "Subject":
    """Return the object that something belongs to. Raise `NoSuchObject` if it is a layer that nothing has."""
    from watchd.cleanup.plan.explain import NoSuchObject

    if belongs.subjects:
        return belongs.subjects[0]
    if view.engine.store == "containerd":
        raise NoSuchObject(
            f"whose layer {reference!r} is is not known: with containerd's image store the engine does not tell"
        )
    raise NoSuchObject(f"no image and no container has the layer {reference!r}, as far as the engine tells")


def _also(belongs: "Owned") -> str:
    """Return what else a layer belongs to."""
    others = [subject.name for subject in belongs.subjects[1:]]
    more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
    return f", of {', '.join(others[:_MOST_NAMES])}{more} as well" if others else ""
