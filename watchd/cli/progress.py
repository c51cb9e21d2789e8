"""How a run by hand is followed: a line for each removal, or on a terminal a bar, with lines for what did not go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from watchd.prune import report
from watchd.prune.plan import Item, Outcome

# Put off is what something that went wrong keeps, which counts itself, or what the disk had room for after all.
GOOD = (Outcome.REMOVED, Outcome.ALREADY_GONE, Outcome.DEFERRED)
_FEW = 3  # items are told in lines on a terminal, too

Done = Callable[[Item, Outcome, str], None]


@contextmanager
def telling(count: int, tell: Callable[[str], None], *, bar: bool) -> Iterator[Done]:
    """Yield what is to be called after each of `count` items; with a bar what did not go is told at the end."""
    if not bar or count <= _FEW:
        yield lambda item, outcome, detail: tell(report.outcome(item, outcome, detail))
        return
    troubles: list[str] = []
    with click.progressbar(length=count, label="Removing", item_show_func=lambda name: name or "") as progress:

        def done(item: Item, outcome: Outcome, detail: str) -> None:
            if outcome not in (Outcome.REMOVED, Outcome.ALREADY_GONE):
                troubles.append(report.outcome(item, outcome, detail))
            progress.update(1, item.name)

        yield done
    for line in troubles:
        tell(line)
