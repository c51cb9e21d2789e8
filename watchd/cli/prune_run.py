"""Output and questions of `watchd prune` during its run."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType

import click

from watchd.cleanup import report
from watchd.cleanup.plan.plan import Item, Outcome, Plan
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.planning import Prepared
from watchd.cleanup.run.run import FAILURES, RunResult
from watchd.cli.output import print_lines, print_note, terminal_cells
from watchd.cli.progress import removal_progress
from watchd.config import Cleanup
from watchd.errors import StateError

SHOWN_WHEN_QUIET = frozenset((Outcome.REMOVED, *FAILURES))


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command. `names` are the policies to judge, none for all; `explain` is the command to hint at."""

    names: tuple[str, ...]
    explain: str
    dry_run: bool
    as_json: bool
    yes: bool
    quiet: bool = False  # print removals and failures only


class PruneRun(RunControl):
    """Show the plan, ask, and show each outcome; to stderr if stdout has JSON.

    While the plan is executed, SIGINT and SIGTERM end the run after the current object.
    """

    def __init__(self, cleanup: Cleanup, options: Options, state_error: StateError | None) -> None:
        super().__init__()
        self._cleanup = cleanup
        self._options = options
        self._state_error = state_error
        self._undo = ExitStack()

    def show_result(self, result: RunResult) -> None:
        """Show the removals, after the progress bar."""
        self.close()
        if result.outcomes is None or self._options.as_json:
            return
        if not self._options.quiet or SHOWN_WHEN_QUIET.intersection(result.outcomes.values()):
            self._print(report.result(result.prepared.plan, result.outcomes, result.freed))

    def close(self) -> None:
        """End the progress bar, and restore the signal handlers."""
        self._undo.close()

    def on_plan(self, prepared: Prepared) -> bool:
        """Show the plan, and ask if needed. Return whether to execute it."""
        plan, options = prepared.plan, self._options
        executes = bool(plan.in_force) and not options.dry_run
        asks = executes and not options.yes
        if executes and not asks:  # at the question a signal ends the command
            self._handle_signals()
        if asks or not (options.as_json or options.quiet):  # a question needs the plan to be seen
            self._show(plan)
        for note in (*self._failures(plan), *(() if options.quiet else self._notes(prepared))):
            print_note(note)
        if not executes:
            return False
        if asks:
            if not click.confirm("Remove these?", err=options.as_json):
                click.echo("Nothing was removed.", err=options.as_json)
                return False
            self._handle_signals()
        bar = not (options.as_json or options.quiet) and sys.stdout.isatty()
        self._on_outcome = self._undo.enter_context(removal_progress(len(plan.in_force), self._print, bar=bar))
        return True

    def on_outcome(self, item: Item, outcome: Outcome, detail: str) -> None:
        """Show it."""
        if not self._options.quiet or outcome in SHOWN_WHEN_QUIET:
            self._on_outcome(item, outcome, detail)

    def _handle_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._undo.callback(signal.signal, number, signal.signal(number, self._interrupt))

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self.stop.set()
        signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once

    def _print(self, line: str) -> None:
        """Print a line. A reader that went away ends no run: then the rest is discarded."""
        try:
            print_lines([line], err=self._options.as_json)
        except OSError:
            stream = sys.stderr if self._options.as_json else sys.stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def _show(self, plan: Plan) -> None:
        names, policies = self._options.names, self._cleanup.policies
        kinds = {policy.kind for policy in policies if policy.name in names} if names else None
        dry_run, as_json = self._options.dry_run, self._options.as_json
        print_lines(report.policies(self._cleanup, names or None), err=as_json, wrap=True)
        cells, explain = terminal_cells(err=as_json), self._options.explain
        told = report.plan(plan, dry_run=dry_run, kinds=kinds, explain=explain, cells=cells)
        print_lines(("", *told), err=as_json, wrap=True)

    def _failures(self, plan: Plan) -> Iterator[str]:
        if self._state_error is not None:
            yield f"clocks were not recorded: {self._state_error}"
        for kind, error in plan.incomplete.items():
            yield f"{kind.replace('_', ' ')}s could not be judged, nor what rests on them: {error}"

    def _notes(self, prepared: Prepared) -> Iterator[str]:
        plan = prepared.plan
        for item in plan.items:
            if "warning" in item.facts:
                yield f"{item.kind} {item.name}: {item.facts['warning']}"
        if self._options.dry_run:
            names = self._options.names or None
            yield from report.void_patterns(prepared.view, self._cleanup, names)
            yield from report.void_selections(prepared.view, self._cleanup, names)
        reported = sorted(
            {str(item.policy) for item in plan.items if item.action == "remove" and item.mode == "report"}
        )
        if reported:
            yield (
                f"in report mode, so nothing of it goes: {', '.join(reported)}. To have a policy remove, set"
                ' mode = "enforce" in it, or in [cleanup] for all.'
            )
        yield from report.watched_note(prepared.watched, self._cleanup)
